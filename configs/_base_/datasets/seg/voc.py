"""Pascal VOC 2012 segmentation, and any data in its layout: give data_root."""

_base_ = './folder.py'

data_root = 'data/VOCdevkit/VOC2012'
train_images = val_images = 'JPEGImages'
train_masks = val_masks = 'SegmentationClass'
train_list = 'ImageSets/Segmentation/train.txt'
val_list = 'ImageSets/Segmentation/val.txt'

train_dataloader = dict(dataset=dict(type='mmseg.PascalVOCDataset', ann_file='${train_list}'))
val_dataloader = dict(dataset=dict(type='mmseg.PascalVOCDataset', ann_file='${val_list}'))
