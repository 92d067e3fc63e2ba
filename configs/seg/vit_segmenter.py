"""Segmenter on a plain ViT with patches of 8; windows slide over whole images in tests."""

_base_ = [
    '../_base_/models/segmenter.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

crop_size = (128, 128)
head_channels = 192
num_heads = 3
out_strides = (8,)
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        # Half of its depth, to learn from nothing in minutes.
        model_kwargs=dict(depth=6, patch_size=8),
        out_norm='final',
    ),
    # What a window sees is of the size that training saw.
    test_cfg=dict(mode='slide', crop_size='${crop_size}', stride=(96, 96)),
)
train_cfg = dict(max_epochs=8)
