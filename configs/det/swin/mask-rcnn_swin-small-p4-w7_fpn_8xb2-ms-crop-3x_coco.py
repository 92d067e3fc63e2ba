"""Mask R-CNN on Swin-S, 3x.

Source: mmdet configs/swin, mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x
Target: box AP 48.2, mask AP 43.2
Note: train with --amp, as published
"""

_base_ = './mask-rcnn_swin-tiny-p4-w7_fpn_8xb2-ms-crop-3x_coco.py'

model = dict(backbone=dict(model_name='swin_small_patch4_window7_224.ms_in1k'))
