"""Cityscapes, 19 classes: leftImg8bit/ and gtFine/ with the masks that cityscapesscripts makes.

``python -m cityscapesscripts.preparation.createTrainIdLabelImgs`` writes those, named
``_gtFine_labelTrainIds.png``.
"""

_base_ = './folder.py'

data_root = 'data/cityscapes'
train_images = 'leftImg8bit/train'
train_masks = 'gtFine/train'
val_images = 'leftImg8bit/val'
val_masks = 'gtFine/val'
image_suffix = '_leftImg8bit.png'
mask_suffix = '_gtFine_labelTrainIds.png'
image_scale = (2048, 1024)
crop_size = (512, 1024)

train_dataloader = dict(dataset=dict(type='mmseg.CityscapesDataset'))
val_dataloader = dict(dataset=dict(type='mmseg.CityscapesDataset'))
