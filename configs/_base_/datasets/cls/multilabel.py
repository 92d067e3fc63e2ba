"""Images of any number of classes, your own: a JSON file a split, as mmpretrain reads them.

{"metainfo": {"classes": ["cat", "dog"]},
 "data_list": [{"img_path": "a.jpg", "gt_label": [0, 1]}, {"img_path": "b.jpg", "gt_label": []}]}
"""

_base_ = './imagefolder.py'

data_root = 'data/multilabel'
train_ann = 'train.json'
train_images = 'images'
val_ann = 'val.json'
val_images = 'images'

# The whole image, squeezed: a crop would cut off what the labels tell of.
_resize = dict(
    type='mmpretrain.Resize',
    scale='${image_size}',
    backend='torch',
    interpolation='bicubic',
)
train_pipeline = [
    '${load_image}',
    _resize,
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    '${load_image}',
    _resize,
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]
tta_pipeline = [
    '${load_image}',
    dict(
        type='TestTimeAug',
        transforms=[
            [_resize],
            [
                dict(type='mmpretrain.RandomFlip', prob=0.0),
                dict(type='mmpretrain.RandomFlip', prob=1.0),
            ],
            [dict(type='mmpretrain.PackInputs')],
        ],
    ),
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpretrain.MultiLabelDataset',
        data_root='${data_root}',
        ann_file='${train_ann}',
        data_prefix='${train_images}',
        metainfo=dict(classes='${data.classes}'),
        pipeline='${train_pipeline}',
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpretrain.MultiLabelDataset',
        data_root='${data_root}',
        ann_file='${val_ann}',
        data_prefix='${val_images}',
        metainfo=dict(classes='${data.classes}'),
        test_mode=True,
        pipeline='${test_pipeline}',
    ),
)
val_evaluator = [
    dict(type='mmpretrain.AveragePrecision'),  # its mean picks the best checkpoint
    dict(type='mmpretrain.MultiLabelMetric', thr=0.5),
]
