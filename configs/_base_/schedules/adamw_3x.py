"""AdamW over 36 epochs, a tenth of the rate after 27 and again after 33; nothing is clipped."""

warmup_iters = 1000

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=36, val_interval=1)
val_cfg = dict(type='vitmm.ValLoop')
test_cfg = dict(type='vitmm.TestLoop')

optim_wrapper = dict(
    type='vitmm.OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, betas=(0.9, 0.999), fused=True),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end='${warmup_iters}'),
    dict(
        type='MultiStepLR',
        milestones=[27, 33],
        gamma=0.1,
        begin=0,
        end='${train_cfg.max_epochs}',
        by_epoch=True,
    ),
]
auto_scale_lr = dict(base_batch_size=16)
