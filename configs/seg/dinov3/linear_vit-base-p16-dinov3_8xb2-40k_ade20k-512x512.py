"""A linear layer on the frozen features of DINOv3 ViT-B/16.

Source: https://arxiv.org/abs/2508.10104; dinov3, config-ade20k-linear-training.yaml
Target: mIoU 51.8
"""

_base_ = [
    '../../_base_/models/linear_probe.py',
    '../../_base_/datasets/seg/ade20k.py',
    '../../_base_/schedules/adamw_iterations.py',
    '../../_base_/runtime/seg_sync_bn.py',
]

model = dict(
    data_preprocessor=dict(test_cfg=None),
    backbone=dict(model_name='vit_base_patch16_dinov3.lvd1689m', pretrained=True, out_norm='final'),
    decode_head=dict(dropout_ratio=0.1),
    test_cfg=dict(mode='slide', crop_size='${crop_size}', stride=(341, 341)),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
train_cfg = dict(max_iters=40000, val_interval=10000)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end='${warmup_iters}'),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        begin='${warmup_iters}',
        end='${train_cfg.max_iters}',
        by_epoch=False,
    ),
]
