"""Faster R-CNN with FPN, https://arxiv.org/abs/1506.01497: mmdet's, behind any backbone."""

fpn_channels = 256
norm_cfg = None  # of the neck
fc_channels = 1024
out_strides = (4, 8, 16, 32)  # of the maps that FPN gets
anchor_scales = [8]  # sides, in strides
anchor_strides = [4, 8, 16, 32, 64]  # of the maps that FPN gives
proposals = 1000  # of an image, after NMS
roi_samples = 512  # of these, and of the true boxes, to learn from

model = dict(
    type='mmdet.FasterRCNN',
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
            num_outs=5,
            norm_cfg='${norm_cfg}',
        ),
    ],
    rpn_head=dict(
        type='mmdet.RPNHead',
        in_channels='${fpn_channels}',
        feat_channels='${fpn_channels}',
        anchor_generator=dict(
            type='mmdet.AnchorGenerator',
            scales='${anchor_scales}',
            ratios=[0.5, 1.0, 2.0],
            strides='${anchor_strides}',
        ),
        bbox_coder=dict(
            type='mmdet.DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[1.0, 1.0, 1.0, 1.0],
        ),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0),
    ),
    roi_head=dict(
        type='mmdet.StandardRoIHead',
        bbox_roi_extractor=dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels='${fpn_channels}',
            featmap_strides='${out_strides}',
        ),
        bbox_head=dict(
            type='mmdet.Shared2FCBBoxHead',
            in_channels='${fpn_channels}',
            fc_out_channels='${fc_channels}',
            roi_feat_size=7,
            num_classes='${data.num_classes}',
            bbox_coder=dict(
                type='mmdet.DeltaXYWHBBoxCoder',
                target_means=[0.0, 0.0, 0.0, 0.0],
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
            reg_class_agnostic=False,
            loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='vitmm.MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='mmdet.RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=2000,
            max_per_img='${proposals}',
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            assigner=dict(
                type='vitmm.MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='mmdet.RandomSampler',
                num='${roi_samples}',
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=1000,
            max_per_img='${proposals}',
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
)
