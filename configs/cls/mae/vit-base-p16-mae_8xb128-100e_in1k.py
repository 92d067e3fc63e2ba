"""ViT-B from MAE, fine-tuned on ImageNet-1k.

Source: https://arxiv.org/abs/2111.06377; facebookresearch/mae FINETUNE.md; mmpretrain configs/mae
Target: top-1 83.6
"""

_base_ = [
    '../../_base_/models/mixed_linear.py',
    '../../_base_/datasets/cls/imagenet_augmented.py',
    '../../_base_/schedules/adamw_warm_epochs.py',
    '../../_base_/runtime/cls.py',
]

warmup_epochs = 5
warmup_from = 1e-4
least = 1e-6 / 2e-3
model = dict(
    backbone=dict(
        model_name='vit_base_patch16_224.mae',
        pretrained=True,
        model_kwargs=dict(global_pool='avg'),  # and a norm behind it that learns from nothing
        drop_path_rate=0.1,
    ),
    head=dict(init_cfg=dict(type='TruncNormal', layer='Linear', std=2e-5)),
)
train_dataloader = dict(batch_size=128)
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=2e-3), paramwise_cfg=dict(layer_decay=0.65))
