"""ImageNet-1k with RandAugment and random erasing, as ViTs are trained since DeiT."""

_base_ = './imagenet.py'

_mean, _std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]  # of ImageNet, BGR
train_pipeline = [
    '${load_image}',
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale='${image_size}',
        crop_ratio_range='${crop_ratio_range}',
        backend='torch',
        interpolation='bicubic',
    ),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='mmpretrain.RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'),
    ),
    dict(
        type='mmpretrain.RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=_mean,
        fill_std=_std,
    ),
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]
