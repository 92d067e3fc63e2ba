"""Faster R-CNN on photographs of trees, from an ImageNet-trained EfficientNet-Lite0."""

_base_ = [
    '../_base_/models/small_faster_rcnn.py',
    '../_base_/datasets/det/trees.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

out_strides = (4, 8, 16, 32)
model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite0',
        pretrained='data/weights/tf_efficientnet_lite0.safetensors',
        frozen_groups=4,  # down to stride 4: a quarter of the time
    ),
    # Crowns are nearly square, most of them 20 to 90 pixels wide.
    rpn_head=dict(
        anchor_generator=dict(scales=[4, 5, 6.3], ratios=[1.0], strides=[4, 8, 16, 32, 64])
    ),
)
train_cfg = dict(max_epochs=15, val_interval=5)
# The run is short and most of it is warm-up: the rate peaks at a third of this.
optim_wrapper = dict(optimizer=dict(lr=6e-4))
