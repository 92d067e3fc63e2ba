"""Segmenter, https://arxiv.org/abs/2105.05633: a token a class, among those of the last map."""

_base_ = './fcn.py'

head_channels = 768
num_heads = 12
out_strides = (16,)  # of the one map

model = dict(
    backbone=dict(out_strides='${out_strides}'),
    neck=dict(out_strides='${out_strides}'),
    decode_head=dict(
        _delete_=True,
        type='mmseg.SegmenterMaskTransformerHead',
        in_channels='${backbone.channels[-1]}',
        in_index=-1,
        channels='${head_channels}',
        embed_dims='${head_channels}',
        num_layers=2,
        num_heads='${num_heads}',
        dropout_ratio=0.0,
        num_classes='${data.num_classes}',
        align_corners=False,
    ),
)
