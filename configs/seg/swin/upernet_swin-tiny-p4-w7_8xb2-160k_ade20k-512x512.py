"""UPerNet on Swin-T.

Source: https://arxiv.org/abs/2103.14030; mmseg configs/swin, swin-tiny-patch4-window7-in1k-pre
Target: mIoU 44.41
"""

_base_ = [
    '../../_base_/models/upernet.py',
    '../../_base_/datasets/seg/ade20k.py',
    '../../_base_/schedules/adamw_iterations.py',
    '../../_base_/runtime/seg_sync_bn.py',
]

model = dict(
    data_preprocessor=dict(test_cfg=None),
    backbone=dict(
        model_name='swin_tiny_patch4_window7_224.ms_in1k',
        pretrained=True,
        model_kwargs=dict(always_partition=True),  # windows shift in every stage, as in mmseg
        out_norm='layer',
        drop_path_rate=0.3,
    ),
    auxiliary_head=dict(channels=256),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    ),
)
