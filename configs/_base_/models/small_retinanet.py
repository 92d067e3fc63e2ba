"""RetinaNet that learns from nothing on a laptop: narrow, and normalised as such training needs.

Group normalisation in neck and head: He et al., https://arxiv.org/abs/1811.08883.
"""

_base_ = './retinanet.py'

fpn_channels = 64
norm_cfg = dict(_delete_=True, type='GN', num_groups=16)

model = dict(
    bbox_head=dict(stacked_convs=2, anchor_generator=dict(octave_base_scale=3)),
)
