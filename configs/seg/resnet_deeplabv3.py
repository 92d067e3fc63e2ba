"""DeepLabV3 on a dilated ResNet."""

_base_ = [
    '../_base_/models/deeplabv3.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 96
dilations = (1, 3, 6, 9)  # cells of 8 pixels: images here are 20 wide
model = dict(
    backbone=dict(
        model_name='resnet18',
        # Half of its width, and dilated: the last two stages stay at stride 8.
        model_kwargs=dict(channels=(32, 64, 128, 256), output_stride=8),
    )
)
train_cfg = dict(max_epochs=8)
