"""UPerNet on ConvNeXt-B.

Source: mmseg configs/convnext, convnext-base_upernet_8xb2-amp-160k_ade20k-512x512
Target: mIoU 48.71
Note: as for ConvNeXt-S
"""

_base_ = './upernet_convnext-small_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(model_name='convnext_base.fb_in1k', drop_path_rate=0.4))
