"""PSPNet, https://arxiv.org/abs/1612.01105: the last map, pooled in four grids, at stride 8.

The backbones that can dilate (timm's ResNets: model_kwargs=dict(output_stride=8)) give that stride
themselves; the maps of others are resampled.
"""

_base_ = './fcn.py'

model = dict(
    backbone=dict(out_strides=(16, 32)),
    neck=dict(out_strides=(8, 8)),
    decode_head=dict(
        _delete_=True,
        type='mmseg.PSPHead',
        in_channels='${backbone.channels[-1]}',
        in_index=-1,
        pool_scales=(1, 2, 3, 6),
        channels='${head_channels}',
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
    ),
    auxiliary_head=dict(
        type='mmseg.FCNHead',
        in_channels='${backbone.channels[-2]}',
        in_index=-2,
        channels='${head_channels}',
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
)
