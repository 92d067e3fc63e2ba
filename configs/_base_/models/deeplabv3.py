"""DeepLabV3, https://arxiv.org/abs/1706.05587: dilated convolutions side by side, at stride 8."""

_base_ = './pspnet.py'

dilations = (1, 12, 24, 36)

model = dict(
    decode_head=dict(
        _delete_=True,
        type='mmseg.ASPPHead',
        in_channels='${backbone.channels[-1]}',
        in_index=-1,
        dilations='${dilations}',
        channels='${head_channels}',
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
    ),
)
