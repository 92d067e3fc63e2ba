"""RetinaNet on MobileViT, a hybrid: convolutions and attention by turns."""

_base_ = [
    '../_base_/models/small_retinanet.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

model = dict(backbone=dict(model_name='mobilevit_xxs'))
train_cfg = dict(max_epochs=4)
