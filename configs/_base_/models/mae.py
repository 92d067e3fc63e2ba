"""MAE, https://arxiv.org/abs/2111.06377: pixels of the patches that a plain ViT did not see."""

decoder_channels = 512
decoder_depth = 8
decoder_heads = 16

model = dict(
    type='mmpretrain.MAE',
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',  # SelfSupDataPreprocessor takes RGB only
        mean='${backbone.mean}',
        std='${backbone.std}',
        to_rgb=True,
    ),
    backbone=dict(type='vitmm.MaskedTimmBackbone', mask_ratio=0.75),
    neck=dict(
        type='vitmm.MAEDecoder',
        image_size='${image_size}',
        patch_size='${backbone.strides[-1]}',
        in_chans='${backbone.in_chans}',
        embed_dim='${backbone.channels[-1]}',
        decoder_embed_dim='${decoder_channels}',
        decoder_depth='${decoder_depth}',
        decoder_num_heads='${decoder_heads}',
    ),
    head=dict(
        type='mmpretrain.MAEPretrainHead',
        norm_pix=True,
        patch_size='${backbone.strides[-1]}',
        in_channels='${backbone.in_chans}',
        loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2'),
    ),
    init_cfg=[
        dict(type='Xavier', layer='Linear', distribution='uniform'),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
)
