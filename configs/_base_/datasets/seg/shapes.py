"""The embedded data set, as segmentation; written under data_root when it is not there."""

_base_ = './folder.py'

data_root = 'data/shapes'
prepare_data = dict(type='vitmm.write_shapes', root='${data_root}')
train_images = val_images = 'JPEGImages'
train_masks = val_masks = 'SegmentationClass'
train_list = 'ImageSets/Segmentation/train.txt'
val_list = 'ImageSets/Segmentation/val.txt'
image_scale = (160, 160)
crop_size = (160, 160)

train_dataloader = dict(batch_size=4)
