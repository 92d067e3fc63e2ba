"""A linear classifier of mixed images and smoothed labels, as ViTs are trained since DeiT."""

_base_ = './linear.py'

model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'
        ),
    ),
    train_cfg=dict(
        augments=[
            dict(type='mmpretrain.Mixup', alpha=0.8),
            dict(type='mmpretrain.CutMix', alpha=1.0),
        ]
    ),
)
