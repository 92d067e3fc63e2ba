"""A linear layer on the frozen features of DINOv2 ViT-B/14.

Source: https://arxiv.org/abs/2304.07193; its release, dinov2_vitb14_ade20k_linear_config.py
Target: mIoU 47.3
Note: 512 pixels are padded to 518 at the right and the bottom, the authors' around them
"""

_base_ = [
    '../../_base_/models/linear_probe.py',
    '../../_base_/datasets/seg/ade20k.py',
    '../../_base_/schedules/adamw_iterations.py',
    '../../_base_/runtime/seg_sync_bn.py',
]

model = dict(
    data_preprocessor=dict(test_cfg=None),
    backbone=dict(model_name='vit_base_patch14_dinov2.lvd142m', pretrained=True, out_norm='final'),
    test_cfg=dict(mode='slide', crop_size='${crop_size}', stride=(341, 341)),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
train_cfg = dict(max_iters=40000, val_interval=10000)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-4))
