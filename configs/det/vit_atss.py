"""ATSS on a plain ViT."""

_base_ = [
    '../_base_/models/atss.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# Narrow and normalised, as learning from nothing needs.
fpn_channels = 64
norm_cfg = dict(_delete_=True, type='GN', num_groups=16)
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6),  # half of it, to learn from nothing in minutes
        out_norm='final',
    ),
    bbox_head=dict(stacked_convs=2, anchor_generator=dict(octave_base_scale=6)),
)
train_cfg = dict(max_epochs=4)
