"""FCN, https://arxiv.org/abs/1411.4038: one convolution over all levels at stride 4."""

head_channels = 512

model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
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
        type='mmseg.FCNHead',
        in_channels='${backbone.channels}',
        in_index=[0, 1, 2, 3],
        input_transform='resize_concat',
        channels='${head_channels}',
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes='${data.num_classes}',
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
