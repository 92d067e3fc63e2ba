"""FCOS on a ResNet."""

_base_ = [
    '../_base_/models/fcos.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# Narrow and normalised, as learning from nothing needs.
fpn_channels = 64
norm_cfg = dict(_delete_=True, type='GN', num_groups=16)
model = dict(
    backbone=dict(
        model_name='resnet18',
        model_kwargs=dict(channels=(32, 64, 128, 256)),  # half of its width
    ),
    bbox_head=dict(stacked_convs=2),
)
train_cfg = dict(max_epochs=4)
