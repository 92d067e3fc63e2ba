"""ConvNeXt-T from nothing on ImageNet-1k, averaged over its training.

Source: https://arxiv.org/abs/2201.03545; mmpretrain configs/convnext, convnext-tiny_32xb128_in1k
Target: top-1 82.14
"""

_base_ = [
    '../../_base_/models/mixed_linear.py',
    '../../_base_/datasets/cls/imagenet_augmented.py',
    '../../_base_/schedules/adamw_warm_epochs.py',
    '../../_base_/runtime/cls.py',
]

least = 1e-5 / 4e-3
model = dict(
    backbone=dict(model_name='convnext_tiny', drop_path_rate=0.1),
    head=dict(init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02)),
)
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
custom_hooks = [
    dict(type='vitmm.EpochSeedHook'),
    dict(type='EMAHook', momentum=1e-4, priority='ABOVE_NORMAL'),
]
auto_scale_lr = dict(base_batch_size=4096)
