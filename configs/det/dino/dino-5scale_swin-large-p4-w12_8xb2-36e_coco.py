"""DINO on Swin-L at five scales.

Source: https://arxiv.org/abs/2203.03605; mmdet configs/dino, dino-5scale_swin-l_8xb2-36e_coco
Target: box AP 58.4
"""

_base_ = [
    '../../_base_/models/dino.py',
    '../../_base_/datasets/det/coco2017.py',
    '../../_base_/schedules/adamw_3x.py',
    '../../_base_/runtime/det.py',
]

num_levels = 5
uncropped_side = 4200
model = dict(
    backbone=dict(
        model_name='swin_large_patch4_window12_384.ms_in22k',
        pretrained=True,
        model_kwargs=dict(always_partition=True),  # windows shift in every stage, as in mmdet
        out_strides=(4, 8, 16, 32),
        out_norm='layer',
        drop_path_rate=0.2,
        grad_checkpointing=True,
    ),
    neck=[
        dict(
            type='vitmm.FeaturePyramid',
            in_channels='${backbone.channels}',
            in_strides='${backbone.strides}',
        ),
        dict(
            type='mmdet.ChannelMapper',
            in_channels='${backbone.channels}',
            kernel_size=1,
            out_channels='${embed_dims}',
            act_cfg=None,
            norm_cfg=dict(type='GN', num_groups=32),
            num_outs='${num_levels}',
        ),
    ],
)
train_dataloader = dict(
    dataset=dict(filter_cfg=dict(filter_empty_gt=False), pipeline='${multiscale_pipeline}')
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
param_scheduler = [
    dict(
        type='MultiStepLR',
        milestones=[27, 33],
        gamma=0.1,
        begin=0,
        end='${train_cfg.max_epochs}',
        by_epoch=True,
    )
]
