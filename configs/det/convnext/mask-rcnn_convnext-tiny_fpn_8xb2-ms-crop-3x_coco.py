"""Mask R-CNN on ConvNeXt-T, 3x.

Source: https://arxiv.org/abs/2201.03545; mmdet configs/convnext, mask-rcnn_convnext-t-p4-w7
Target: box AP 46.2, mask AP 41.7
Note: rates fall by groups of blocks, as the authors count; train with --amp, as published
"""

_base_ = [
    '../../_base_/models/mask_rcnn.py',
    '../../_base_/datasets/det/coco2017.py',
    '../../_base_/schedules/adamw_3x.py',
    '../../_base_/runtime/det.py',
]

model = dict(
    backbone=dict(
        model_name='convnext_tiny.fb_in1k',
        pretrained=True,
        out_norm='layer',
        drop_path_rate=0.4,
    )
)
train_dataloader = dict(dataset=dict(pipeline='${multiscale_pipeline}'))
# Steps below the head: a stage is one, but for the third, whose blocks go by threes.
_steps = {'stem': 7, 'stages.0': 6, 'stages.1': 5, 'stages.2.downsample': 4, 'stages.3': 1}
_steps.update({f'stages.2.blocks.{block}.': 4 - block // 3 for block in range(9)})
optim_wrapper = dict(
    constructor='vitmm.LayerDecayConstructor',
    paramwise_cfg=dict(
        custom_keys={
            f'backbone.model.{name}': dict(lr_mult=0.95**step) for name, step in _steps.items()
        }
    ),
)
