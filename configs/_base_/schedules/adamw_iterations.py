"""AdamW by iterations, as published segmentation counts: a linear warm-up, then a line to zero.

No gradients are clipped.
"""

warmup_iters = 1500

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='vitmm.ValLoop')
test_cfg = dict(type='vitmm.TestLoop')

optim_wrapper = dict(
    type='vitmm.OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, betas=(0.9, 0.999), fused=True),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end='${warmup_iters}'),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=0.0,
        begin='${warmup_iters}',
        end='${train_cfg.max_iters}',
        by_epoch=False,
    ),
]
auto_scale_lr = dict(base_batch_size=16)
