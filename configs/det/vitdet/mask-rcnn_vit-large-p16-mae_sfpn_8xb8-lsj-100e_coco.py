"""ViTDet: Mask R-CNN on a plain ViT-L from MAE, with large-scale jitter.

Source: https://arxiv.org/abs/2203.16527; detectron2 projects/ViTDet, mask_rcnn_vitdet_l_100ep.py
Target: box AP 55.5, mask AP 49.2
Note: as for ViT-B
"""

_base_ = './mask-rcnn_vit-base-p16-mae_sfpn_8xb8-lsj-100e_coco.py'

model = dict(backbone=dict(model_name='vit_large_patch16_224.mae', drop_path_rate=0.4))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
