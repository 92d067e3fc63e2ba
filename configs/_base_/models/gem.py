"""A linear classifier on the last map's generalised mean, https://arxiv.org/abs/1711.02512."""

_base_ = './linear.py'

model = dict(
    backbone=dict(output='maps', out_indices=(-1,)),
    neck=dict(type='mmpretrain.GeneralizedMeanPooling', p=3.0),  # learns p
)
