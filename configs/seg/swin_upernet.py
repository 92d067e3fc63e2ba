"""UPerNet on Swin."""

_base_ = [
    '../_base_/models/upernet.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 96
model = dict(backbone=dict(model_name='swin_tiny_patch4_window7_224'))
train_cfg = dict(max_epochs=10)
