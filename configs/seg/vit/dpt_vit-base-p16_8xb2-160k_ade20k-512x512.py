"""DPT on ViT-B from ImageNet-21k and 1k.

Source: mmseg configs/dpt, dpt_vit-b16_8xb2-160k_ade20k-512x512
Target: mIoU 46.97
"""

_base_ = [
    '../../_base_/models/dpt.py',
    '../../_base_/datasets/seg/ade20k.py',
    '../../_base_/schedules/adamw_iterations.py',
    '../../_base_/runtime/seg_sync_bn.py',
]

model = dict(
    data_preprocessor=dict(
        # mmseg keeps ImageNet's here, not those of this ViT.
        mean=[123.675, 116.28, 103.53],  # check_config: allow pixels
        std=[58.395, 57.12, 57.375],  # check_config: allow pixels
        test_cfg=None,
    ),
    backbone=dict(
        model_name='vit_base_patch16_224.orig_in21k_ft_in1k',
        pretrained=True,
        out_indices=(2, 5, 8, 11),
        class_token=True,
        drop_path_rate=0.0,
    ),
    decode_head=dict(readout_type='project'),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'pos_embed': dict(decay_mult=0.0),
            'cls_token': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    ),
)
