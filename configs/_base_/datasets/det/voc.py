"""Pascal VOC 2007 + 2012, and any detection data in VOC's XML format: give data_root.

``train_list`` and ``val_list`` name the files that list the images; ``train_prefix`` and
``val_prefix`` the folders that hold JPEGImages/ and Annotations/.
"""

_base_ = './coco.py'

data_root = 'data/VOCdevkit'
train_list = 'VOC2007/ImageSets/Main/trainval.txt'
train_prefix = 'VOC2007/'
val_list = 'VOC2007/ImageSets/Main/test.txt'
val_prefix = 'VOC2007/'
image_scale = (1000, 600)

train_dataloader = dict(
    dataset=dict(
        type='mmdet.XMLDataset',
        ann_file='${train_list}',
        data_prefix=dict(_delete_=True, sub_data_root='${train_prefix}'),
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmdet.XMLDataset',
        ann_file='${val_list}',
        data_prefix=dict(_delete_=True, sub_data_root='${val_prefix}'),
    )
)

val_evaluator = dict(_delete_=True, type='mmdet.VOCMetric', metric='mAP', eval_mode='area')
