"""RetinaNet with a head of one's own: examples/custom_head.py."""

_base_ = [
    '../_base_/models/small_retinanet.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

custom_imports = dict(imports=['vitmm', 'examples.custom_head'])
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=4),  # a third of it, to learn from nothing in minutes
        out_norm='final',
    ),
    bbox_head=dict(type='mmdet.SERetinaHead'),
)
train_cfg = dict(max_epochs=4)
