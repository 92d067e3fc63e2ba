"""A linear classifier on the backbone's own pooled features."""

model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean='${backbone.mean}',
        std='${backbone.std}',
        to_rgb=True,
        num_classes='${data.num_classes}',
    ),
    backbone=dict(type='vitmm.TimmBackbone', output='pooled'),
    head=dict(
        type='mmpretrain.LinearClsHead',
        in_channels='${backbone.channels[-1]}',
        num_classes='${data.num_classes}',
        loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=1.0),
    ),
)
