"""Cascade Mask R-CNN on Swin."""

_base_ = [
    '../_base_/models/cascade_mask_rcnn.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# As small as small_faster_rcnn.py.
fpn_channels = 96
fc_channels = 256
out_strides = (8, 16, 32)
norm_cfg = dict(_delete_=True, type='GN', num_groups=16)
anchor_scales = [3]
anchor_strides = [8, 16, 32, 64, 128]
proposals = 300
roi_samples = 128
mask_head = dict(num_convs=2)
model = dict(
    backbone=dict(
        model_name='swin_tiny_patch4_window7_224',
        # As in swin_faster_rcnn.py.
        model_kwargs=dict(
            embed_dim=48, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), always_partition=True
        ),
        out_norm='layer',
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000, max_per_img=300)),
)
train_cfg = dict(max_epochs=4)
