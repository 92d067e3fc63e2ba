"""UPerNet on Swin-B.

Source: mmseg configs/swin, swin-base-patch4-window7-in1k-pre
Target: mIoU 47.99
"""

_base_ = './upernet_swin-tiny-p4-w7_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(model_name='swin_base_patch4_window7_224.ms_in1k'))
