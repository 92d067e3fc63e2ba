"""DPT on a plain ViT."""

_base_ = [
    '../_base_/models/dpt.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 64
level_channels = [32, 48, 96, 192]
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6),  # half of it, to learn from nothing in minutes
        out_norm='final',
    )
)
train_cfg = dict(max_epochs=14)
