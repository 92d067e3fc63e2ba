"""Cascade R-CNN on PVTv2."""

_base_ = [
    '../_base_/models/cascade_rcnn.py',
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
model = dict(
    backbone=dict(model_name='pvt_v2_b0', out_norm='layer'),
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000, max_per_img=300)),
)
train_cfg = dict(max_epochs=4)
