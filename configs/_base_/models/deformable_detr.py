"""Deformable DETR, https://arxiv.org/abs/2010.04159: attention to a few points of four maps.

It learns from lr 2e-4, weight_decay 1e-4 and clip_grad max_norm 0.1, a backbone with a tenth of lr.
"""

embed_dims = 256  # in two stages mmdet's takes no other
position_dims = 128  # half of them
ffn_channels = 1024
num_heads = 8
num_layers = 6  # of encoder and decoder, each
num_levels = 4  # maps that attention looks at: the backbone's three and one coarser
dropout = 0.1
num_queries = 300
max_per_img = 100  # boxes

model = dict(
    type='mmdet.DeformableDETR',
    num_queries='${num_queries}',
    num_feature_levels='${num_levels}',
    with_box_refine=False,
    as_two_stage=False,
    data_preprocessor=dict(
        type='vitmm.DetDataPreprocessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        bgr_to_rgb=True,
        pad_mask=False,
        pad_size_divisor=1,
    ),
    backbone=dict(type='vitmm.TimmBackbone', out_strides=(8, 16, 32)),
    neck=[
        dict(
            type='vitmm.FeaturePyramid',
            in_channels='${backbone.channels}',
            in_strides='${backbone.strides}',
            out_strides=(8, 16, 32),
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
    encoder=dict(
        num_layers='${num_layers}',
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims='${embed_dims}',
                num_heads='${num_heads}',
                num_levels='${num_levels}',
                dropout='${dropout}',
                batch_first=True,
            ),
            ffn_cfg=dict(
                embed_dims='${embed_dims}',
                feedforward_channels='${ffn_channels}',
                ffn_drop='${dropout}',
            ),
        ),
    ),
    decoder=dict(
        num_layers='${num_layers}',
        return_intermediate=True,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims='${embed_dims}',
                num_heads='${num_heads}',
                dropout='${dropout}',
                batch_first=True,
            ),
            cross_attn_cfg=dict(
                embed_dims='${embed_dims}',
                num_heads='${num_heads}',
                num_levels='${num_levels}',
                dropout='${dropout}',
                batch_first=True,
            ),
            ffn_cfg=dict(
                embed_dims='${embed_dims}',
                feedforward_channels='${ffn_channels}',
                ffn_drop='${dropout}',
            ),
        ),
        post_norm_cfg=None,
    ),
    positional_encoding=dict(num_feats='${position_dims}', normalize=True, offset=-0.5),
    bbox_head=dict(
        type='mmdet.DeformableDETRHead',
        num_classes='${data.num_classes}',
        embed_dims='${embed_dims}',
        sync_cls_avg_factor=True,
        loss_cls=dict(
            type='mmdet.FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0
        ),
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=5.0),
        loss_iou=dict(type='mmdet.GIoULoss', loss_weight=2.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type='mmdet.HungarianAssigner',
            match_costs=[
                dict(type='mmdet.FocalLossCost', weight=2.0),
                dict(type='mmdet.BBoxL1Cost', weight=5.0, box_format='xywh'),
                dict(type='mmdet.IoUCost', iou_mode='giou', weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img='${max_per_img}'),
)
