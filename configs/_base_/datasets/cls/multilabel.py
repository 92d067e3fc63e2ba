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
