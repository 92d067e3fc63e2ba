"""Mask2Former for instances, on a ResNet."""

_base_ = [
    '../_base_/models/mask2former.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# Small, to learn from nothing in minutes.
embed_dims = 64
position_dims = 32
pixel_ffn_channels = query_ffn_channels = 256
num_heads = 4
pixel_layers = 2
query_layers = 3
num_queries = 40
num_points = 2048
model = dict(
    backbone=dict(
        model_name='resnet18',
        model_kwargs=dict(channels=(32, 64, 128, 256)),  # half of its width
    )
)
train_cfg = dict(max_epochs=8)
# The paper's settings, but for the rate: the backbone learns from nothing here.
optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=0.1))
