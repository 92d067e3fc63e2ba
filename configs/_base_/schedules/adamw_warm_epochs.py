"""AdamW with some epochs of linear warm-up, then a cosine to the end; nothing is clipped."""

warmup_epochs = 20
warmup_from = 1e-3  # and the end of the cosine, as parts of the rate
least = 0.01

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=1)
val_cfg = dict(type='vitmm.ValLoop')
test_cfg = dict(type='vitmm.TestLoop')

optim_wrapper = dict(
    type='vitmm.OptimWrapper',
    constructor='vitmm.LayerDecayConstructor',  # norms, biases and embeddings do not decay
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999), fused=True),
)

param_scheduler = [
    dict(
        type='LinearLR',
        start_factor='${warmup_from}',
        begin=0,
        end='${warmup_epochs}',
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio='${least}',  # of each group: one floor for all would lift the lowest rates
        begin='${warmup_epochs}',
        end='${train_cfg.max_epochs}',
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=1024)
