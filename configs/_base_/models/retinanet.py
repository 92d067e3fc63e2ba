"""RetinaNet, https://arxiv.org/abs/1708.02002: mmdet's detector behind any backbone."""

fpn_channels = 256
out_strides = (8, 16, 32)  # of the maps that FPN gets
norm_cfg = None  # of neck and head

model = dict(
    type='mmdet.RetinaNet',
    data_preprocessor=dict(
        type='vitmm.DetDataPreprocessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        bgr_to_rgb=True,
        pad_mask=False,
        pad_size_divisor=32,
    ),
    backbone=dict(type='vitmm.TimmBackbone', out_strides='${out_strides}'),
    neck=[
        dict(
            type='vitmm.FeaturePyramid',
            in_channels='${backbone.channels}',
            in_strides='${backbone.strides}',
            out_strides='${out_strides}',
        ),
        dict(
            type='mmdet.FPN',
            in_channels='${backbone.channels}',
            out_channels='${fpn_channels}',
            add_extra_convs='on_output',
            norm_cfg='${norm_cfg}',
            num_outs=5,
        ),
    ],
    bbox_head=dict(
        type='mmdet.RetinaHead',
        num_classes='${data.num_classes}',
        in_channels='${fpn_channels}',
        feat_channels='${fpn_channels}',
        stacked_convs=4,
        norm_cfg='${norm_cfg}',
        anchor_generator=dict(
            type='mmdet.AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(
            type='mmdet.DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[1.0, 1.0, 1.0, 1.0],
        ),
        loss_cls=dict(
            type='mmdet.FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0
        ),
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type='vitmm.MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type='mmdet.PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100,
    ),
)
