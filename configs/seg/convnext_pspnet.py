"""PSPNet on a dilated ConvNeXt."""

_base_ = [
    '../_base_/models/pspnet.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 96
model = dict(
    backbone=dict(
        model_name='convnext_atto',
        model_kwargs=dict(output_stride=8),  # dilated: the last two stages stay at stride 8
        out_norm='layer',
    )
)
train_cfg = dict(max_epochs=8)
