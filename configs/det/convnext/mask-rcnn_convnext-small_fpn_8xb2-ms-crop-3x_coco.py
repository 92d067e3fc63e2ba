"""Mask R-CNN on ConvNeXt-S, 3x.

Source: ours, in the manner of ConvNeXt-T; mmdet and the authors publish no such config
Target: box AP 47.9, mask AP 42.9 (as https://arxiv.org/abs/2401.10166 compares)
Note: drop path 0.6 is the authors' for Cascade Mask R-CNN on ConvNeXt-S
"""

_base_ = './mask-rcnn_convnext-tiny_fpn_8xb2-ms-crop-3x_coco.py'

model = dict(backbone=dict(model_name='convnext_small.fb_in1k', drop_path_rate=0.6))
# Steps below the head: a stage is one, but for the third, whose blocks go by threes.
_steps = {'stem': 13, 'stages.0': 12, 'stages.1': 11, 'stages.2.downsample': 10, 'stages.3': 1}
_steps.update({f'stages.2.blocks.{block}.': 10 - block // 3 for block in range(27)})
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            f'backbone.model.{name}': dict(lr_mult=0.95**step) for name, step in _steps.items()
        }
    )
)
