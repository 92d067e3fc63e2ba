"""Segmentation whose batch statistics are of all processes."""

_base_ = './seg.py'

sync_bn = 'torch'
