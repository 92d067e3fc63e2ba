"""mmseg's scope, its drawing, the metric that picks the best checkpoint."""

_base_ = './default.py'

default_scope = 'mmseg'
default_hooks = dict(
    checkpoint=dict(save_best='mIoU', rule='greater'),
    visualization=dict(type='mmseg.SegVisualizationHook', interval=50),
)
visualizer = dict(
    type='mmseg.SegLocalVisualizer', vis_backends='${vis_backends}', name='visualizer'
)
tta_model = dict(type='mmseg.SegTTAModel')
