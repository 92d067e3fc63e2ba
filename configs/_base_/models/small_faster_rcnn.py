"""Faster R-CNN that learns from nothing on a laptop: narrow, no stride 4, fewer proposals.

Group normalisation in the neck: He et al., https://arxiv.org/abs/1811.08883.
"""

_base_ = './faster_rcnn.py'

fpn_channels = 96
fc_channels = 256
out_strides = (8, 16, 32)
norm_cfg = dict(_delete_=True, type='GN', num_groups=16)
anchor_scales = [3]
anchor_strides = [8, 16, 32, 64, 128]
proposals = 300
roi_samples = 128

model = dict(train_cfg=dict(rpn_proposal=dict(nms_pre=1000)))
