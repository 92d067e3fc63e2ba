"""COCO 2017 itself: a few of its boxes have no area, which mmdet leaves out without a word."""

_base_ = './coco.py'

bad_data = 'skip'
