"""A linear classifier on the generalised mean of a ResNet's last map."""

_base_ = [
    '../_base_/models/gem.py',
    '../_base_/datasets/cls/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

model = dict(
    backbone=dict(
        model_name='resnet18',
        model_kwargs=dict(channels=(32, 64, 128, 256)),  # half of its width
    )
)
train_cfg = dict(max_epochs=6)
