"""UPerNet on DeiT-B.

Source: mmseg configs/vit, vit_deit-b16_mln_upernet_8xb2-160k_ade20k-512x512
Target: mIoU 45.46
"""

_base_ = './upernet_vit-base-p16_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(model_name='deit_base_patch16_224.fb_in1k', drop_path_rate=0.1))
