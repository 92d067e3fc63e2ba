"""Mask2Former for instances, https://arxiv.org/abs/2112.01527: mmdet's, behind any backbone."""

_base_ = './parts/mask2former.py'

model = dict(
    type='mmdet.Mask2Former',
    data_preprocessor=dict(
        type='vitmm.DetDataPreprocessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(type='vitmm.TimmBackbone'),
    neck=dict(
        type='vitmm.FeaturePyramid',
        in_channels='${backbone.channels}',
        in_strides='${backbone.strides}',
    ),
    panoptic_head=dict(
        type='mmdet.Mask2FormerHead',
        in_channels='${backbone.channels}',
        feat_channels='${embed_dims}',
        out_channels='${embed_dims}',
        num_things_classes='${data.num_classes}',
        num_stuff_classes=0,
        num_queries='${num_queries}',
        pixel_decoder='${pixel_decoder}',
        positional_encoding=dict(num_feats='${position_dims}', normalize=True),
        transformer_decoder='${query_decoder}',
        loss_cls='${loss_cls}',
        loss_mask='${loss_mask}',
        loss_dice='${loss_dice}',
    ),
    panoptic_fusion_head=dict(
        type='mmdet.MaskFormerFusionHead',
        num_things_classes='${data.num_classes}',
        num_stuff_classes=0,
    ),
    train_cfg='${matching}',
    test_cfg=dict(
        panoptic_on=False, semantic_on=False, instance_on=True, max_per_image=100, iou_thr=0.8
    ),
)
