"""Which classes an image shows, any number of them, on a ResNet."""

_base_ = [
    '../_base_/models/multilabel.py',
    '../_base_/datasets/cls/shapes_multilabel.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

model = dict(
    backbone=dict(
        model_name='resnet18',
        model_kwargs=dict(channels=(32, 64, 128, 256)),  # half of its width
    )
)
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_epochs=10)
