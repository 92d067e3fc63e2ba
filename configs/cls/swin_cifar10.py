"""Swin-B on CIFAR-10, from its ImageNet weights: python tools/prepare_data.py cifar10 --from DIR"""

_base_ = [
    '../_base_/models/linear.py',
    '../_base_/datasets/cls/imagefolder.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

data_root = 'data/cifar10'
model = dict(backbone=dict(model_name='swin_base_patch4_window7_224', pretrained=True))
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
