"""DPT's head, https://arxiv.org/abs/2103.13413: convolutions fuse four maps, coarse to fine."""

_base_ = './fcn.py'

head_channels = 256
level_channels = [96, 192, 384, 768]  # of each map, fine to coarse

model = dict(
    neck=None,  # the head brings each map to its stride, once it is narrow
    decode_head=dict(
        _delete_=True,
        type='vitmm.DPTHead',
        in_channels='${backbone.channels}',
        in_strides='${backbone.strides}',
        channels='${head_channels}',
        post_process_channels='${level_channels}',
        readout_type='ignore',
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
    ),
)
