"""ViTDet, https://arxiv.org/abs/2203.16527: Mask R-CNN on the last map of a plain backbone.

Attention looks into windows, but for that of four blocks; the pyramid is made of one map; neck and
heads have LayerNorm over channels.
"""

_base_ = './mask_rcnn.py'

norm_cfg = dict(_delete_=True, type='vitmm.LN2d', eps=1e-6)  # of the heads; the neck has its own
mask_head = dict(norm_cfg='${norm_cfg}')

model = dict(
    backbone=dict(out_strides=(16,), window_size=14, global_blocks=4),
    neck=dict(
        _delete_=True,
        type='vitmm.SimpleFPN',
        in_channels='${backbone.channels[-1]}',
        in_stride='${backbone.strides[-1]}',
        out_channels='${fpn_channels}',
        out_strides='${out_strides}',
        num_outs=5,
    ),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(
            type='mmdet.Shared4Conv1FCBBoxHead',
            conv_out_channels='${fpn_channels}',
            norm_cfg='${norm_cfg}',
        ),
    ),
)
