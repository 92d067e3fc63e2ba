"""mmseg's scope and drawing; the best checkpoint has the least relative error."""

_base_ = './seg.py'

default_hooks = dict(checkpoint=dict(save_best='abs_rel', rule='less'))
tta_model = None  # mmseg's joins classes, not metres
