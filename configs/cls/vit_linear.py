"""A linear classifier on a plain ViT."""

_base_ = [
    '../_base_/models/linear.py',
    '../_base_/datasets/cls/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6),  # half of it, to learn from nothing in minutes
    )
)
train_cfg = dict(max_epochs=10)
