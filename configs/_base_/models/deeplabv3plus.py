"""DeepLabV3+, https://arxiv.org/abs/1802.02611: separable, and sharpened by the map of stride 4."""

_base_ = './deeplabv3.py'

model = dict(
    backbone=dict(out_strides=(4, 16, 32)),
    neck=dict(out_strides=(4, 8, 8)),
    decode_head=dict(
        type='mmseg.DepthwiseSeparableASPPHead',
        c1_in_channels='${backbone.channels[0]}',
        c1_channels=48,
    ),
)
