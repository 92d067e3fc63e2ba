"""UPerNet on Swin-S.

Source: mmseg configs/swin, swin-small-patch4-window7-in1k-pre
Target: mIoU 47.72
"""

_base_ = './upernet_swin-tiny-p4-w7_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(model_name='swin_small_patch4_window7_224.ms_in1k'))
