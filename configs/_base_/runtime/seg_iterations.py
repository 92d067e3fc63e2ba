"""Segmentation whose training is counted in iterations; batch statistics are of all processes."""

_base_ = './seg.py'

default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=16000),
    logger=dict(interval=50, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)
sync_bn = 'torch'
