"""The embedded data set's scenes, with the classes that each shows; written when not there."""

_base_ = './multilabel.py'

data_root = 'data/shapes'
prepare_data = dict(type='vitmm.write_labelled_shapes', root='${data_root}')
train_ann = 'multilabel/train.json'
train_images = 'JPEGImages'
val_ann = 'multilabel/val.json'
val_images = 'JPEGImages'
image_size = 160
