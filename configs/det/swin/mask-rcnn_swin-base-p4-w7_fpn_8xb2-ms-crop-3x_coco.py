"""Mask R-CNN on Swin-B, 3x.

Source: ours, in the manner of Swin-S; mmdet and the authors publish no such config
Target: box AP 48.6, mask AP 43.3 (as https://arxiv.org/abs/2205.08534 compares)
Note: drop path 0.3 is the authors' for Swin-B
"""

_base_ = './mask-rcnn_swin-tiny-p4-w7_fpn_8xb2-ms-crop-3x_coco.py'

model = dict(backbone=dict(model_name='swin_base_patch4_window7_224.ms_in1k', drop_path_rate=0.3))
