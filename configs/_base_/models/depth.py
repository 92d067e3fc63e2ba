"""Monocular depth: one convolution over all levels at stride 4, in metres."""

head_channels = 256
max_depth = 10.0  # metres

model = dict(
    type='mmseg.DepthEstimator',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=0,  # of depth: nothing measured
        size='${crop_size}',
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(type='vitmm.TimmBackbone'),
    neck=dict(
        type='vitmm.FeaturePyramid',
        in_channels='${backbone.channels}',
        in_strides='${backbone.strides}',
    ),
    decode_head=dict(
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
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
