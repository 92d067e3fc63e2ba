"""DINO on ConvNeXt."""

_base_ = [
    '../_base_/models/dino.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# Small, to learn from nothing in minutes.
image_scale = (160, 160)
num_layers = 2
ffn_channels = 256
num_queries = 100
max_per_img = 100
model = dict(
    backbone=dict(model_name='convnext_atto', out_norm='layer'),
    dn_cfg=dict(group_cfg=dict(num_dn_queries=40)),
)
train_cfg = dict(max_epochs=12)
# The papers' settings, but for the rate: the backbone learns from nothing here.
optim_wrapper = dict(optimizer=dict(lr=4e-4, weight_decay=1e-4), clip_grad=dict(max_norm=0.1))
