"""UPerNet on ConvNeXt-S.

Source: mmseg configs/convnext, convnext-small_upernet_8xb2-amp-160k_ade20k-512x512
Target: mIoU 48.56
Note: the authors' num_layers=12 puts six more steps between stages and head than ConvNeXt-T has
"""

_base_ = './upernet_convnext-tiny_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(model_name='convnext_small.fb_in1k', drop_path_rate=0.3))
_steps = {'stem': 13}  # below the head
_steps.update({f'stages.{stage}': 12 - stage for stage in range(4)})
_steps.update({f'stages.{stage}.downsample': 13 for stage in range(1, 4)})
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            f'backbone.model.{name}': dict(lr_mult=0.9**step) for name, step in _steps.items()
        }
    )
)
