"""The embedded data set, as classification; written under data_root when it is not there."""

_base_ = './imagefolder.py'

data_root = 'data/shapes'
prepare_data = dict(type='vitmm.write_shapes', root='${data_root}')
train_images = 'imagefolder/train'
val_images = 'imagefolder/val'
image_size = 96
resize_edge = 96
crop_ratio_range = (0.7, 1.0)
