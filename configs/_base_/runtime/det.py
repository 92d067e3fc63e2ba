"""mmdet's scope, its drawing, the metric that picks the best checkpoint."""

_base_ = './default.py'

default_scope = 'mmdet'
default_hooks = dict(
    checkpoint=dict(save_best='auto', rule='greater'),
    visualization=dict(
        type='mmdet.DetVisualizationHook',
        backend_args=dict(backend='vitmm_picture', channels='${backbone.in_chans}'),
    ),
)
# Without a name it is the run's own: a named one is shared by all runs of a process.
visualizer = dict(type='vitmm.DetVisualizer', vis_backends='${vis_backends}')
tta_model = dict(
    type='DetTTAModel',  # mmdet registers it for everybody
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
)
