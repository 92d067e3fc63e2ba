"""Cascade Mask R-CNN on ConvNeXt-B, 3x, with deeper box heads and GIoU.

Source: https://arxiv.org/abs/2201.03545; facebookresearch/ConvNeXt object_detection, in1k
Target: box AP 52.7, mask AP 45.6
Note: rates fall by groups of blocks, as the authors count; the warm-up is mmdet's for ConvNeXt-T
and S; train with --amp, as published
"""

_base_ = [
    '../../_base_/models/cascade_mask_rcnn.py',
    '../../_base_/datasets/det/coco2017.py',
    '../../_base_/schedules/adamw_3x.py',
    '../../_base_/runtime/det.py',
]

_spreads = [(0.1, 0.1, 0.2, 0.2), (0.05, 0.05, 0.1, 0.1), (0.033, 0.033, 0.067, 0.067)]
model = dict(
    backbone=dict(
        model_name='convnext_base.fb_in1k',
        pretrained=True,
        out_norm='layer',
        drop_path_rate=0.7,
    ),
    roi_head=dict(
        bbox_head=[
            dict(
                type='mmdet.Shared4Conv1FCBBoxHead',
                in_channels='${fpn_channels}',
                conv_out_channels='${fpn_channels}',
                fc_out_channels='${fc_channels}',
                roi_feat_size=7,
                num_classes='${data.num_classes}',
                norm_cfg=dict(type='BN', requires_grad=True),
                bbox_coder=dict(
                    type='mmdet.DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=list(spread),
                ),
                reg_class_agnostic=False,
                reg_decoded_bbox=True,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=10.0),
            )
            for spread in _spreads
        ]
    ),
)
sync_bn = 'torch'  # statistics of all processes
train_dataloader = dict(dataset=dict(pipeline='${multiscale_pipeline}'))
# Steps below the head: a stage is one, but for the third, whose blocks go by threes.
_steps = {'stem': 13, 'stages.0': 12, 'stages.1': 11, 'stages.2.downsample': 10, 'stages.3': 1}
_steps.update({f'stages.2.blocks.{block}.': 10 - block // 3 for block in range(27)})
optim_wrapper = dict(
    constructor='vitmm.LayerDecayConstructor',
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(
        custom_keys={
            f'backbone.model.{name}': dict(lr_mult=0.8**step) for name, step in _steps.items()
        }
    ),
)
