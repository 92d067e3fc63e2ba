"""What every task shares: processes, logs, checkpoints, seeds."""

custom_imports = dict(imports=['vitmm'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
)
randomness = dict(seed=0)

log_level = 'INFO'
log_processor = dict(type='LogProcessor', window_size=20, by_epoch='${training.by_epoch}')
load_from = None
resume = False

default_hooks = dict(
    runtime_info=dict(type='vitmm.RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch='${training.by_epoch}'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The one before the last stays until the last is whole.
    checkpoint=dict(
        type='vitmm.AtomicCheckpointHook',
        by_epoch='${training.by_epoch}',
        interval='${training.save_interval}',
        max_keep_ckpts=2,
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    progress=dict(type='vitmm.ProgressHook'),  # on a terminal
    fewer_halts=dict(type='vitmm.FewerHaltsHook'),
)
custom_hooks = [dict(type='vitmm.EpochSeedHook')]

vis_backends = [dict(type='LocalVisBackend')]
# Joined to vis_backends: dict(wandb=dict(project='mine')), mlflow, clearml, neptune, dvclive, aim.
trackers = dict(tensorboard=True)
