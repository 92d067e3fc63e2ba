"""Cascade Mask R-CNN, https://arxiv.org/abs/1906.09756: a mask head in each stage."""

_base_ = ['./cascade_rcnn.py', './parts/mask_head.py']

model = dict(
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(mask_roi_extractor='${mask_roi_extractor}', mask_head='${mask_head}'),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
