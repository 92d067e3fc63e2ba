"""FCOS, https://arxiv.org/abs/2006.09214: no anchors; centre sampling, GIoU, normalised boxes."""

_base_ = './retinanet.py'

model = dict(
    type='mmdet.FCOS',
    bbox_head=dict(
        _delete_=True,
        type='mmdet.FCOSHead',
        num_classes='${data.num_classes}',
        in_channels='${fpn_channels}',
        feat_channels='${fpn_channels}',
        stacked_convs=4,
        strides=[8, 16, 32, 64, 128],
        norm_cfg='${norm_cfg}',
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        loss_cls=dict(
            type='mmdet.FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0
        ),
        loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=1.0),
        loss_centerness=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=None,
    test_cfg=dict(nms=dict(iou_threshold=0.6)),
)
