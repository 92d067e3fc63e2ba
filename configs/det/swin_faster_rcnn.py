"""Faster R-CNN on Swin."""

_base_ = [
    '../_base_/models/faster_rcnn.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

fpn_channels = 96
fc_channels = 256
model = dict(
    backbone=dict(model_name='swin_tiny_patch4_window7_224'),
    rpn_head=dict(anchor_generator=dict(scales=[5])),
)
train_cfg = dict(max_epochs=8)
