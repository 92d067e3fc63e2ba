"""The embedded data set without labels; written under data_root when it is not there."""

_base_ = './folder.py'

data_root = 'data/shapes'
prepare_data = dict(type='vitmm.write_shapes', root='${data_root}')
train_images = 'imagefolder/train'
image_size = 96
crop_ratio_range = (0.5, 1.0)
