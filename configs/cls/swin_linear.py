"""A linear classifier on Swin."""

_base_ = [
    '../_base_/models/linear.py',
    '../_base_/datasets/cls/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

model = dict(
    backbone=dict(
        model_name='swin_tiny_patch4_window7_224',
        # Less than a sixth of Swin-T, to learn from nothing in minutes.
        model_kwargs=dict(
            embed_dim=48,
            depths=(2, 2, 2, 2),
            num_heads=(2, 4, 8, 16),
        ),
    )
)
train_cfg = dict(max_epochs=6)
