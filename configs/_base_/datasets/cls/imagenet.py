"""ImageNet-1k: class folders under train/ and val/."""

_base_ = './imagefolder.py'

data_root = 'data/imagenet'
topk = (1, 5)

train_dataloader = dict(dataset=dict(type='mmpretrain.ImageNet', split='train'))
val_dataloader = dict(dataset=dict(type='mmpretrain.ImageNet', split='val'))
