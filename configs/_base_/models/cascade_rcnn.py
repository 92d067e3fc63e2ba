"""Cascade R-CNN, https://arxiv.org/abs/1712.00726: three box heads, each stricter than the last."""

_base_ = './faster_rcnn.py'

# The spread of the boxes that each stage expects, and the overlap that it calls a hit.
_spreads = [(0.1, 0.1, 0.2, 0.2), (0.05, 0.05, 0.1, 0.1), (0.033, 0.033, 0.067, 0.067)]
_overlaps = (0.5, 0.6, 0.7)

model = dict(
    type='mmdet.CascadeRCNN',
    rpn_head=dict(loss_bbox=dict(type='mmdet.SmoothL1Loss', beta=1 / 9)),
    roi_head=dict(
        type='mmdet.CascadeRoIHead',
        num_stages=3,
        stage_loss_weights=[1, 0.5, 0.25],
        bbox_head=[
            dict(
                type='mmdet.Shared2FCBBoxHead',
                in_channels='${fpn_channels}',
                fc_out_channels='${fc_channels}',
                roi_feat_size=7,
                num_classes='${data.num_classes}',
                bbox_coder=dict(
                    type='mmdet.DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=list(spread),
                ),
                reg_class_agnostic=True,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='mmdet.SmoothL1Loss', beta=1.0, loss_weight=1.0),
            )
            for spread in _spreads
        ],
    ),
    train_cfg=dict(
        rpn_proposal=dict(max_per_img=2000),
        rcnn=[
            dict(
                assigner=dict(
                    type='vitmm.MaxIoUAssigner',
                    pos_iou_thr=overlap,
                    neg_iou_thr=overlap,
                    min_pos_iou=overlap,
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
                mask_size=28,  # where there is a mask head
                pos_weight=-1,
                debug=False,
            )
            for overlap in _overlaps
        ],
    ),
)
