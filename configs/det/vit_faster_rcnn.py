"""Faster R-CNN on a plain ViT."""

_base_ = [
    '../_base_/models/faster_rcnn.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

fpn_channels = 96
fc_channels = 256
model = dict(
    backbone=dict(model_name='vit_tiny_patch16_224'),
    rpn_head=dict(anchor_generator=dict(scales=[5])),
)
train_cfg = dict(max_epochs=8)
