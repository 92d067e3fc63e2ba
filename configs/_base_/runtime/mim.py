"""mmpretrain's scope, with nothing to validate."""

_base_ = './default.py'

default_scope = 'mmpretrain'
val_dataloader = val_evaluator = None
test_dataloader = test_evaluator = None
visualizer = dict(type='mmengine.Visualizer', vis_backends='${vis_backends}')
