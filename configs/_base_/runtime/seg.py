"""mmseg's scope, its drawing, the metric that picks the best checkpoint."""

_base_ = './default.py'

default_scope = 'mmseg'
default_hooks = dict(
    checkpoint=dict(save_best='mIoU', rule='greater'),
    visualization=dict(
        type='mmseg.SegVisualizationHook',
        interval=50,
        backend_args=dict(backend='vitmm_picture', channels='${backbone.in_chans}'),
    ),
)
# Without a name it is the run's own: a named one is shared by all runs of a process.
visualizer = dict(type='vitmm.SegVisualizer', vis_backends='${vis_backends}')
tta_model = dict(type='mmseg.SegTTAModel')
