"""What cuts out the objects of an R-CNN, https://arxiv.org/abs/1703.06870."""

mask_roi_extractor = dict(
    type='mmdet.SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
    out_channels='${fpn_channels}',
    featmap_strides='${out_strides}',
)
mask_head = dict(
    type='mmdet.FCNMaskHead',
    num_convs=4,
    in_channels='${fpn_channels}',
    conv_out_channels='${fpn_channels}',
    num_classes='${data.num_classes}',
    loss_mask=dict(type='mmdet.CrossEntropyLoss', use_mask=True, loss_weight=1.0),
)
