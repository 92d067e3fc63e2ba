"""A linear probe: a classifier on the frozen features of EfficientNet-Lite0."""

_base_ = [
    '../_base_/models/linear.py',
    '../_base_/datasets/cls/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite0',
        pretrained='data/weights/tf_efficientnet_lite0.safetensors',
        frozen_groups='all',
    )
)
train_cfg = dict(max_epochs=6)
