"""AdamW, a short linear warm-up, then a cosine to the end: change the length in one place.

By iterations: train_cfg = dict(_delete_=True, by_epoch=False, max_iters=9000, val_interval=500).
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='vitmm.ValLoop')
test_cfg = dict(type='vitmm.TestLoop')

optim_wrapper = dict(
    type='vitmm.OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999), fused=True),
    clip_grad=dict(max_norm=1.0),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.01,
        T_max='${training.length}',
        begin=0,
        end='${training.length}',
        by_epoch='${training.by_epoch}',
        convert_to_iter_based='${training.by_epoch}',
    ),
]
