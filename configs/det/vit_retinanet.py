"""RetinaNet on a plain ViT: the recipe to start from."""

_base_ = [
    '../_base_/models/retinanet.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

fpn_channels = 96
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6),  # half of it, to train from nothing in minutes on a laptop
        out_norm='final',
    ),
    bbox_head=dict(stacked_convs=2, anchor_generator=dict(octave_base_scale=3)),
)
train_cfg = dict(max_epochs=8)
