"""UPerNet on Swin."""

_base_ = [
    '../_base_/models/upernet.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 96
model = dict(
    backbone=dict(
        model_name='swin_tiny_patch4_window7_224',
        # Less than a sixth of Swin-T, to learn from nothing in minutes.
        model_kwargs=dict(
            embed_dim=48,
            depths=(2, 2, 2, 2),
            num_heads=(2, 4, 8, 16),
            always_partition=True,  # windows shift in every stage, as in mmdet and mmseg
        ),
        out_norm='layer',
    )
)
train_cfg = dict(max_epochs=4)
