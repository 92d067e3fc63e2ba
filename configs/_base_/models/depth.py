"""Monocular depth: FCN's one convolution over all levels at stride 4, read in metres."""

_base_ = './fcn.py'

head_channels = 256
max_depth = 10.0  # metres

model = dict(
    type='mmseg.DepthEstimator',
    data_preprocessor=dict(seg_pad_val=0),  # of depth: nothing measured
    decode_head=dict(
        _delete_=True,
        type='vitmm.DepthHead',
        max_depth='${max_depth}',
        head=dict(
            type='mmseg.FCNHead',
            in_channels='${backbone.channels}',
            in_index=[0, 1, 2, 3],
            input_transform='resize_concat',
            channels='${head_channels}',
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0.0,
            norm_cfg=dict(type='BN', requires_grad=True),
            align_corners=False,
        ),
    ),
)
