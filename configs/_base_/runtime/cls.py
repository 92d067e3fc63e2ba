"""mmpretrain's scope, its drawing, the metric that picks the best checkpoint."""

_base_ = './default.py'

default_scope = 'mmpretrain'
default_hooks = dict(
    checkpoint=dict(save_best='auto', rule='greater'),
    visualization=dict(type='mmpretrain.VisualizationHook', interval=50, enable=False),
)
# Without a name it is the run's own: a named one is shared by all runs of a process.
visualizer = dict(type='vitmm.ClsVisualizer', vis_backends='${vis_backends}')
tta_model = dict(type='mmpretrain.AverageClsScoreTTA')
