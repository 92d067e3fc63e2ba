"""Faster R-CNN on photographs of trees, from an ImageNet-trained EfficientNet-Lite0."""

_base_ = [
    '../_base_/models/small_faster_rcnn.py',
    '../_base_/datasets/det/trees.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite0',
        pretrained='data/weights/tf_efficientnet_lite0.safetensors',
    ),
    # Crowns are nearly square and 15 to 120 pixels wide.
    rpn_head=dict(anchor_generator=dict(scales=[4, 5, 6.3], ratios=[1.0])),
)
train_pipeline = [
    dict(type='vitmm.CheckedLoad', transform=dict(type='LoadImageFromFile')),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(type='mmdet.Resize', scale='${image_scale}', keep_ratio=True),
    # From above there is no up and no left.
    dict(
        type='mmdet.RandomFlip', prob=[0.25] * 3, direction=['horizontal', 'vertical', 'diagonal']
    ),
    dict(type='mmdet.PackDetInputs'),
]
optim_wrapper = dict(optimizer=dict(lr=2e-4))
train_cfg = dict(max_epochs=30, val_interval=5)
