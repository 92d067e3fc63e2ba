"""UPerNet on ConvNeXt-T.

Source: https://arxiv.org/abs/2201.03545; mmseg configs/convnext, convnext-tiny_upernet
Target: mIoU 46.11
Note: rates fall by stages as the authors count, downsampling with the stem; train with --amp, as
published
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
        model_name='convnext_tiny.fb_in1k',
        pretrained=True,
        out_norm='layer',
        drop_path_rate=0.4,
    ),
    auxiliary_head=dict(channels=256),
    test_cfg=dict(mode='slide', crop_size='${crop_size}', stride=(341, 341)),
)
train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
_steps = {'stem': 7}  # below the head
_steps.update({f'stages.{stage}': 6 - stage for stage in range(4)})
_steps.update({f'stages.{stage}.downsample': 7 for stage in range(1, 4)})
optim_wrapper = dict(
    constructor='vitmm.LayerDecayConstructor',
    paramwise_cfg=dict(
        custom_keys={
            f'backbone.model.{name}': dict(lr_mult=0.9**step) for name, step in _steps.items()
        }
    ),
)
