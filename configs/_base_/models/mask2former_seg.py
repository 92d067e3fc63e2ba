"""Mask2Former for classes of pixels, https://arxiv.org/abs/2112.01527: mmseg's, over mmdet's."""

_base_ = ['./fcn.py', './parts/mask2former.py']

model = dict(
    decode_head=dict(
        _delete_=True,
        type='mmseg.Mask2FormerHead',
        in_channels='${backbone.channels}',
        feat_channels='${embed_dims}',
        out_channels='${embed_dims}',
        num_classes='${data.num_classes}',
        num_queries='${num_queries}',
        pixel_decoder='${pixel_decoder}',
        positional_encoding=dict(num_feats='${position_dims}', normalize=True),
        transformer_decoder='${query_decoder}',
        loss_cls='${loss_cls}',
        loss_mask='${loss_mask}',
        loss_dice='${loss_dice}',
        train_cfg='${matching}',
    ),
)
