"""ViTDet's, https://arxiv.org/abs/2203.16527: 100 epochs of COCO in batches of 64 images."""

_base_ = './adamw_iterations.py'

warmup_iters = 250
milestones = [163889, 177546]

train_cfg = dict(max_iters=184375, val_interval=5000)
optim_wrapper = dict(
    constructor='vitmm.LayerDecayConstructor',
    optimizer=dict(weight_decay=0.1),
    paramwise_cfg=dict(layer_decay=0.7),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end='${warmup_iters}'),
    dict(
        type='MultiStepLR',
        milestones='${milestones}',
        gamma=0.1,
        begin=0,
        end='${train_cfg.max_iters}',
        by_epoch=False,
    ),
]
auto_scale_lr = dict(base_batch_size=64)
