"""A linear classifier on ConvNeXt."""

_base_ = [
    '../_base_/models/linear.py',
    '../_base_/datasets/cls/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

model = dict(backbone=dict(model_name='convnext_atto'))
train_cfg = dict(max_epochs=6)
