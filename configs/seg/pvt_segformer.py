"""SegFormer's head on PVTv2, which is to timm what MiT is to SegFormer."""

_base_ = [
    '../_base_/models/segformer.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

head_channels = 96
model = dict(backbone=dict(model_name='pvt_v2_b0', out_norm='layer'))
train_cfg = dict(max_epochs=8)
