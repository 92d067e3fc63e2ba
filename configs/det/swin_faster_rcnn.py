"""Faster R-CNN on Swin."""

_base_ = [
    '../_base_/models/faster_rcnn.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

fpn_channels = 96
fc_channels = 256
model = dict(
    backbone=dict(
        model_name='swin_tiny_patch4_window7_224',
        # Less than a sixth of Swin-T, so that it trains on a laptop; swap the name and this goes.
        model_kwargs=dict(
            embed_dim=48,
            depths=(2, 2, 2, 2),
            num_heads=(2, 4, 8, 16),
            always_partition=True,  # windows shift in every stage, as in mmdet
        ),
        out_norm='layer',
    ),
    rpn_head=dict(anchor_generator=dict(scales=[5])),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=1000, max_per_img=300),
        rcnn=dict(sampler=dict(num=128)),
    ),
    test_cfg=dict(rpn=dict(max_per_img=300)),
)
train_cfg = dict(max_epochs=8)
