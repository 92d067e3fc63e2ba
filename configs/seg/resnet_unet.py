"""U-Net's decoder on a ResNet, up to stride 2."""

_base_ = [
    '../_base_/models/unet.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 32
out_strides = (2, 4, 8, 16, 32)
model = dict(
    backbone=dict(
        model_name='resnet18',
        model_kwargs=dict(channels=(32, 64, 128, 256)),  # half of its width
    )
)
train_cfg = dict(max_epochs=12)
