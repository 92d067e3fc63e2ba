"""LVIS v1, 1203 classes on COCO's images; read by its own package (pip install --no-deps lvis).

``data_root`` holds annotations/ and COCO's train2017/ and val2017/. Images of rare classes are
repeated (https://arxiv.org/abs/1908.03195), a whole number of times as in mmdet's own LVIS configs.
"""

_base_ = './coco.py'

data_root = 'data/lvis'
train_ann = 'annotations/lvis_v1_train.json'
val_ann = 'annotations/lvis_v1_val.json'
train_images = val_images = ''  # the annotations tell the folder

repeat_below = 1e-3  # the share of images below which a class's are repeated; 0 repeats none

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr='${repeat_below}',
        dataset=dict(_base_.train_dataloader.dataset, type='mmdet.LVISV1Dataset'),
    )
)
val_dataloader = dict(dataset=dict(type='mmdet.LVISV1Dataset'))

val_evaluator = dict(type='vitmm.LVISMetric')
