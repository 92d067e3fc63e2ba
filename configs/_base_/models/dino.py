"""DINO, https://arxiv.org/abs/2203.03605: Deformable DETR in two stages, with denoising queries.

It learns from lr 1e-4, weight_decay 1e-4 and clip_grad max_norm 0.1, a backbone with a tenth of lr.
"""

_base_ = './deformable_detr.py'

embed_dims = 256  # mmdet's decoder takes no other
ffn_channels = 2048
dropout = 0.0
num_queries = 900  # no more than the four maps have cells
max_per_img = 300

model = dict(
    type='mmdet.DINO',
    with_box_refine=True,
    as_two_stage=True,
    positional_encoding=dict(offset=0.0, temperature=20),
    bbox_head=dict(type='mmdet.DINOHead', loss_cls=dict(loss_weight=1.0)),
    dn_cfg=dict(
        label_noise_scale=0.5,
        box_noise_scale=1.0,
        group_cfg=dict(dynamic=True, num_groups=None, num_dn_queries=100),
    ),
)
