"""A light ViT for speed: EfficientViT with SegFormer's head."""

_base_ = [
    '../_base_/models/segformer.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 64
model = dict(backbone=dict(model_name='efficientvit_b0'))
train_cfg = dict(max_epochs=10)
