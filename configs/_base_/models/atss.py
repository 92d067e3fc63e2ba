"""ATSS, https://arxiv.org/abs/1912.02424: an anchor a cell, hits chosen by statistics."""

_base_ = './retinanet.py'

model = dict(
    type='mmdet.ATSS',
    bbox_head=dict(
        type='mmdet.ATSSHead',
        anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
        bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=2.0),
        loss_centerness=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=dict(assigner=dict(_delete_=True, type='mmdet.ATSSAssigner', topk=9)),
    test_cfg=dict(nms=dict(iou_threshold=0.6)),
)
