"""A classifier of two hidden layers on a plain ViT's average pooling."""

_base_ = [
    '../_base_/models/mlp.py',
    '../_base_/datasets/cls/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

hidden_channels = (256, 256)
dropout = 0.1
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        # Half of its depth, to learn from nothing in minutes.
        model_kwargs=dict(depth=6, global_pool='avg'),
    )
)
train_cfg = dict(max_epochs=10)
