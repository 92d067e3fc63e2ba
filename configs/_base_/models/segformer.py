"""SegFormer's head, https://arxiv.org/abs/2105.15203: a linear layer a level, and one over all."""

_base_ = './fcn.py'

head_channels = 256

model = dict(
    decode_head=dict(
        _delete_=True,
        type='mmseg.SegformerHead',
        in_channels='${backbone.channels}',
        in_index=[0, 1, 2, 3],
        channels='${head_channels}',
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
    ),
)
