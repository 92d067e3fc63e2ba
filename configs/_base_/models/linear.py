"""A linear classifier on the backbone's own pooled features.

``model.backbone.model_kwargs.global_pool`` chooses the pooling that timm has for the model: 'token'
(class token), 'avg', 'max', 'map' (attention) of ViTs, 'avg', 'max', 'avgmax' of the others.
"""

label_smoothing = 0.0  # 0 to 1: so much of each label goes to all classes alike
batch_augments = None  # or '${mixup_cutmix}'
# One of the two for each batch; the strengths are DeiT's, https://arxiv.org/abs/2012.12877.
mixup_cutmix = dict(
    augments=[
        dict(type='mmpretrain.Mixup', alpha=0.8),  # https://arxiv.org/abs/1710.09412
        dict(type='mmpretrain.CutMix', alpha=1.0),  # https://arxiv.org/abs/1905.04899
    ]
)

model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        to_rgb=True,
        num_classes='${data.num_classes}',
        batch_augments='${batch_augments}',
    ),
    backbone=dict(type='vitmm.TimmBackbone', output='pooled'),
    head=dict(
        type='mmpretrain.LinearClsHead',
        in_channels='${backbone.channels[-1]}',
        num_classes='${data.num_classes}',
        loss=dict(type='vitmm.CrossEntropyLoss', label_smoothing='${label_smoothing}'),
    ),
)
