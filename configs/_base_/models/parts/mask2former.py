"""The decoders, losses and matching of Mask2Former, https://arxiv.org/abs/2112.01527.

mmdet's, for instances (mask2former.py) and for classes of pixels (mask2former_seg.py). They learn
from lr 1e-4 and clip_grad max_norm 0.01, a backbone with a tenth of lr.
"""

embed_dims = 256
position_dims = 128  # half of them
pixel_ffn_channels = 1024
query_ffn_channels = 2048
num_heads = 8
pixel_layers = 6
query_layers = 9
num_queries = 100
num_points = 12544  # of a mask that the losses look at

_activation = dict(type='ReLU', inplace=True)

pixel_decoder = dict(
    type='mmdet.MSDeformAttnPixelDecoder',
    num_outs=3,
    norm_cfg=dict(type='GN', num_groups=32),
    act_cfg=dict(type='ReLU'),
    encoder=dict(
        num_layers='${pixel_layers}',
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims='${embed_dims}',
                num_heads='${num_heads}',
                num_levels=3,
                num_points=4,
                dropout=0.0,
                batch_first=True,
            ),
            ffn_cfg=dict(
                embed_dims='${embed_dims}',
                feedforward_channels='${pixel_ffn_channels}',
                ffn_drop=0.0,
                act_cfg=_activation,
            ),
        ),
    ),
    positional_encoding=dict(num_feats='${position_dims}', normalize=True),
)
_attention = dict(
    embed_dims='${embed_dims}', num_heads='${num_heads}', dropout=0.0, batch_first=True
)
query_decoder = dict(
    return_intermediate=True,
    num_layers='${query_layers}',
    layer_cfg=dict(
        self_attn_cfg=_attention,
        cross_attn_cfg=_attention,
        ffn_cfg=dict(
            embed_dims='${embed_dims}',
            feedforward_channels='${query_ffn_channels}',
            ffn_drop=0.0,
            act_cfg=_activation,
        ),
    ),
    init_cfg=None,
)
loss_cls = dict(
    type='mmdet.CrossEntropyLoss',
    use_sigmoid=False,
    loss_weight=2.0,
    reduction='mean',
    class_weight='${data.set_weights}',
)
loss_mask = dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.0)
loss_dice = dict(
    type='mmdet.DiceLoss',
    use_sigmoid=True,
    activate=True,
    reduction='mean',
    naive_dice=True,
    eps=1.0,
    loss_weight=5.0,
)
matching = dict(
    num_points='${num_points}',
    oversample_ratio=3.0,
    importance_sample_ratio=0.75,
    assigner=dict(
        type='mmdet.HungarianAssigner',
        match_costs=[
            dict(type='mmdet.ClassificationCost', weight=2.0),
            dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
            dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
        ],
    ),
    sampler=dict(type='mmdet.MaskPseudoSampler'),
)
