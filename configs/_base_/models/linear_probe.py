"""A linear layer on the last map of a frozen backbone: what its features know by themselves.

As DINOv2 (https://arxiv.org/abs/2304.07193) and DINOv3 (https://arxiv.org/abs/2508.10104) are
measured: batch normalisation, then a 1x1 convolution.
"""

_base_ = './fcn.py'

model = dict(
    backbone=dict(out_indices=(-1,), frozen_groups='all'),
    neck=dict(_delete_=True, type='vitmm.MapNorm', in_channels='${backbone.channels}'),
    decode_head=dict(
        _delete_=True,
        type='mmseg.FCNHead',
        in_channels='${backbone.channels[-1]}',
        in_index=-1,
        channels='${backbone.channels[-1]}',
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes='${data.num_classes}',
        align_corners=False,
    ),
)
