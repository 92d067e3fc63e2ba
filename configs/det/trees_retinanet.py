"""RetinaNet on photographs of trees, from an ImageNet-trained EfficientNet-Lite0."""

_base_ = [
    '../_base_/models/small_retinanet.py',
    '../_base_/datasets/det/trees.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite0',
        pretrained='data/weights/tf_efficientnet_lite0.safetensors',
        frozen_groups=4,  # down to stride 4: a quarter of the time
    ),
    bbox_head=dict(anchor_generator=dict(ratios=[1.0])),  # crowns are nearly square
)
train_cfg = dict(max_epochs=15, val_interval=5)
# The run is short and most of it is warm-up: the rate peaks at a third of this.
optim_wrapper = dict(optimizer=dict(lr=6e-4))
