"""A linear classifier of mixed images and smoothed labels, as ViTs are trained since DeiT."""

_base_ = './linear.py'

batch_augments = '${mixup_cutmix}'

model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'
        ),
    ),
)
