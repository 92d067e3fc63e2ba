"""timm's own classifier: with its pretrained weights where these are of as many classes."""

_base_ = './linear.py'

model = dict(
    backbone=dict(output='logits', num_classes='${data.num_classes}'),
    head=dict(
        _delete_=True,
        type='mmpretrain.ClsHead',
        loss=dict(type='vitmm.CrossEntropyLoss', label_smoothing='${label_smoothing}'),
    ),
)
