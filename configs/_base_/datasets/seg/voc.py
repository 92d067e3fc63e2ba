"""Pascal VOC 2012 segmentation. Your own data in its layout: --data folder and the two lists."""

_base_ = './folder.py'

data_root = 'data/VOCdevkit/VOC2012'
train_images = val_images = 'JPEGImages'
train_masks = val_masks = 'SegmentationClass'
train_list = 'ImageSets/Segmentation/train.txt'
val_list = 'ImageSets/Segmentation/val.txt'

train_dataloader = dict(dataset=dict(type='mmseg.PascalVOCDataset'))
val_dataloader = dict(dataset=dict(type='mmseg.PascalVOCDataset'))
