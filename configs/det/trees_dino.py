"""DINO on photographs of trees, from an ImageNet-trained EfficientNet-Lite0."""

_base_ = [
    '../_base_/models/dino.py',
    '../_base_/datasets/det/trees.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# Small, to learn from few photographs.
num_layers = 2
ffn_channels = 256
num_queries = 300
model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite0',
        pretrained='data/weights/tf_efficientnet_lite0.safetensors',
        frozen_groups=4,  # down to stride 4: a quarter of the time
    ),
)
train_cfg = dict(max_epochs=40, val_interval=10)
# The papers' settings, but for the rate.
optim_wrapper = dict(optimizer=dict(lr=4e-4, weight_decay=1e-4), clip_grad=dict(max_norm=0.1))
