"""The embedded data set, as COCO detection; written under data_root when it is not there."""

_base_ = './coco.py'

data_root = 'data/shapes'
prepare_data = dict(type='vitmm.write_shapes', root='${data_root}')
train_ann = 'coco/instances_train.json'
train_images = 'JPEGImages/'
val_ann = 'coco/instances_val.json'
val_images = 'JPEGImages/'
image_scale = crop_size = (224, 224)

train_dataloader = dict(batch_size=4, dataset=dict(filter_cfg=dict(min_size=1)))
val_dataloader = dict(batch_size=8)
