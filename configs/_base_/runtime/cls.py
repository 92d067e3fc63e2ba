"""mmpretrain's scope, its drawing, the metric that picks the best checkpoint."""

_base_ = './default.py'

default_scope = 'mmpretrain'
default_hooks = dict(
    checkpoint=dict(save_best='auto', rule='greater'),
    visualization=dict(type='mmpretrain.VisualizationHook', interval=50, enable=False),
)
visualizer = dict(
    type='mmpretrain.UniversalVisualizer', vis_backends='${vis_backends}', name='visualizer'
)
tta_model = dict(type='mmpretrain.AverageClsScoreTTA')
