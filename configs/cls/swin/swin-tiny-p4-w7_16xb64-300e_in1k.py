"""Swin-T from nothing on ImageNet-1k.

Source: https://arxiv.org/abs/2103.14030; mmpretrain configs/swin_transformer, swin-tiny_16xb64_in1k
Target: top-1 81.18
"""

_base_ = [
    '../../_base_/models/mixed_linear.py',
    '../../_base_/datasets/cls/imagenet_augmented.py',
    '../../_base_/schedules/adamw_warm_epochs.py',
    '../../_base_/runtime/cls.py',
]

model = dict(
    backbone=dict(model_name='swin_tiny_patch4_window7_224', drop_path_rate=0.2),
    head=dict(init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02)),
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
