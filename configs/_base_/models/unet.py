"""U-Net's decoder, https://arxiv.org/abs/1505.04597, on the maps of any backbone."""

_base_ = './fcn.py'

head_channels = 64  # of the finest map; twice as many at each coarser one
out_strides = (4, 8, 16, 32)

model = dict(
    backbone=dict(out_strides='${out_strides}'),
    neck=[
        dict(
            type='vitmm.FeaturePyramid',
            in_channels='${backbone.channels}',
            in_strides='${backbone.strides}',
            out_strides='${out_strides}',
        ),
        dict(
            type='vitmm.UNetDecoder',
            in_channels='${backbone.channels}',
            channels='${head_channels}',
        ),
    ],
    decode_head=dict(
        _delete_=True,
        type='mmseg.FCNHead',
        in_channels='${head_channels}',
        in_index=0,
        channels='${head_channels}',
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        align_corners=False,
    ),
)
