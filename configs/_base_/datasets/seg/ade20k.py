"""ADE20K, 150 classes (ADEChallengeData2016)."""

_base_ = './folder.py'

data_root = 'data/ade/ADEChallengeData2016'
reduce_zero_label = True

train_dataloader = dict(dataset=dict(type='mmseg.ADE20KDataset'))
val_dataloader = dict(dataset=dict(type='mmseg.ADE20KDataset'))
