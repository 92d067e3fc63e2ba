"""The embedded data set, as classification; written under data_root when it is not there."""

_base_ = './imagefolder.py'

data_root = 'data/shapes'
prepare_data = dict(type='vitmm.write_shapes', root='${data_root}')
train_images = 'imagefolder/train'
val_images = 'imagefolder/val'
image_size = 128
resize_edge = 128
crop_ratio_range = (0.6, 1.0)

train_dataloader = dict(batch_size=16)
