"""LVIS v1, 1203 classes on COCO's images; needs pip install 'vitmm[lvis]'.

``data_root`` holds annotations/ and COCO's train2017/ and val2017/. Images of rare classes are not
repeated (https://arxiv.org/abs/1908.03195, section 5.1): MMEngine's ``ClassBalancedDataset`` around
the training set does that.
"""

_base_ = './coco.py'

data_root = 'data/lvis'
train_ann = 'annotations/lvis_v1_train.json'
val_ann = 'annotations/lvis_v1_val.json'
train_images = val_images = ''  # the annotations tell the folder

train_dataloader = dict(dataset=dict(type='mmdet.LVISV1Dataset'))
val_dataloader = dict(dataset=dict(type='mmdet.LVISV1Dataset'))

val_evaluator = dict(type='vitmm.LVISMetric')
