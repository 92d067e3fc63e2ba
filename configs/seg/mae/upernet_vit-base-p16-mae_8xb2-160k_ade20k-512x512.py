"""UPerNet on ViT-B from MAE.

Source: https://arxiv.org/abs/2111.06377; mmseg configs/mae, mae-base_upernet_8xb2-amp-160k
Target: mIoU 48.1
Note: timm's ViT has no relative positions or layer scale, which the authors add
"""

_base_ = [
    '../../_base_/models/upernet.py',
    '../../_base_/datasets/seg/ade20k.py',
    '../../_base_/schedules/adamw_iterations.py',
    '../../_base_/runtime/seg_sync_bn.py',
]

head_channels = 768
model = dict(
    data_preprocessor=dict(test_cfg=None),
    backbone=dict(
        model_name='vit_base_patch16_224.mae',
        pretrained=True,
        out_indices=(3, 5, 7, 11),
        drop_path_rate=0.1,
    ),
    neck=dict(
        _delete_=True,
        type='mmseg.Feature2Pyramid',
        embed_dim='${backbone.channels[-1]}',
        rescales=[4, 2, 1, 0.5],
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    auxiliary_head=dict(channels=256),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    constructor='vitmm.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay=0.65),
)
