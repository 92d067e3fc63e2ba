"""ViT-L from MAE, fine-tuned on ImageNet-1k.

Source: https://arxiv.org/abs/2111.06377; facebookresearch/mae FINETUNE.md; mmpretrain configs/mae
Target: top-1 85.9
"""

_base_ = './vit-base-p16-mae_8xb128-100e_in1k.py'

least = 1e-6 / 4e-3
model = dict(backbone=dict(model_name='vit_large_patch16_224.mae', drop_path_rate=0.2))
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay=0.75))
