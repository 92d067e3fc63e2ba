"""Mask R-CNN on Swin-T, 3x.

Source: https://arxiv.org/abs/2103.14030; mmdet configs/swin, mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x
Target: box AP 46.0, mask AP 41.6
"""

_base_ = [
    '../../_base_/models/mask_rcnn.py',
    '../../_base_/datasets/det/coco2017.py',
    '../../_base_/schedules/adamw_3x.py',
    '../../_base_/runtime/det.py',
]

model = dict(
    backbone=dict(
        model_name='swin_tiny_patch4_window7_224.ms_in1k',
        pretrained=True,
        model_kwargs=dict(always_partition=True),  # windows shift in every stage, as in mmdet
        out_norm='layer',
        drop_path_rate=0.2,
    )
)
train_dataloader = dict(dataset=dict(pipeline='${multiscale_pipeline}'))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    )
)
