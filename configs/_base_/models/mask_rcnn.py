"""Mask R-CNN, https://arxiv.org/abs/1703.06870: Faster R-CNN that also cuts its objects out."""

_base_ = ['./faster_rcnn.py', './parts/mask_head.py']

model = dict(
    type='mmdet.MaskRCNN',
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(mask_roi_extractor='${mask_roi_extractor}', mask_head='${mask_head}'),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=True), mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
