"""UPerNet on BEiT-B, fine-tuned on ImageNet-22k before.

Source: https://arxiv.org/abs/2106.08254; mmseg configs/beit, beit-base_upernet_8xb2-160k
Target: mIoU 53.08
"""

_base_ = [
    '../../_base_/models/upernet.py',
    '../../_base_/datasets/seg/ade20k.py',
    '../../_base_/schedules/adamw_iterations.py',
    '../../_base_/runtime/seg_sync_bn.py',
]

image_scale = (2560, 640)
crop_size = (640, 640)
head_channels = 768
model = dict(
    data_preprocessor=dict(
        # The authors keep ImageNet's here, not those of BEiT.
        mean=[123.675, 116.28, 103.53],  # check_config: allow pixels
        std=[58.395, 57.12, 57.375],  # check_config: allow pixels
        test_cfg=None,
    ),
    backbone=dict(
        model_name='beit_base_patch16_224.in22k_ft_in22k',
        pretrained=True,
        model_kwargs=dict(img_size=640),
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
    test_cfg=dict(mode='slide', crop_size='${crop_size}', stride=(426, 426)),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    constructor='vitmm.LayerDecayConstructor',
    optimizer=dict(lr=3e-5),
    paramwise_cfg=dict(
        layer_decay=0.9,
        custom_keys={'relative_position_bias_table': dict(decay_mult=1.0)},  # as the authors
    ),
)
