"""RetinaNet on a plain ViT: the recipe to start from."""

_base_ = [
    '../_base_/models/small_retinanet.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=4),  # a third of it, to learn from nothing in minutes
        out_norm='final',
    )
)
train_cfg = dict(max_epochs=4)
