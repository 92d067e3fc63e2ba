"""Mask R-CNN on ConvNeXt-B, 3x.

Source: ours, in the manner of ConvNeXt-T; mmdet and the authors publish no such config
Target: none is known to us
Note: drop path 0.7 is the authors' for Cascade Mask R-CNN on ConvNeXt-B
"""

_base_ = './mask-rcnn_convnext-small_fpn_8xb2-ms-crop-3x_coco.py'

model = dict(backbone=dict(model_name='convnext_base.fb_in1k', drop_path_rate=0.7))
