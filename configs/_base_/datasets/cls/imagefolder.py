"""A folder a class, under train/ and val/: your own data, give data_root."""

data_root = 'data/imagefolder'
train_images = 'train'
val_images = 'val'
image_size = 224
resize_edge = 256
crop_ratio_range = (0.08, 1.0)
topk = (1,)
rand_magnitude = 9  # of RandAugment, 0 to 10
erase_prob = 0.25  # of random erasing
max_value = None  # that stands for full brightness: of the images' integers, or 1 of floats
bad_data = 'stop'  # 'skip' leaves out what is bad, and counts it
reduce = True  # decode JPEGs at 1/2, 1/4 or 1/8 where that is still no enlargement
image_cache = None  # a folder for decoded images: pays where they fit into memory
cache_limit = 16  # GiB
_extensions = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')

load_image = dict(
    type='vitmm.LoadImage',
    channels='${backbone.in_chans}',
    max_value='${max_value}',
    reduce='${reduce}',
    cache='${image_cache}',
    cache_limit='${cache_limit}',
)
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
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]
# RandAugment, https://arxiv.org/abs/1909.13719, and random erasing with noise,
# https://arxiv.org/abs/1708.04896, of 8-bit RGB. In a recipe, or as an option:
# train_dataloader = dict(dataset=dict(pipeline='${augment_pipeline}'))
augment_pipeline = [
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
        type='vitmm.ForRGB',
        transform=dict(
            type='mmpretrain.RandAugment',
            policies='timm_increasing',
            num_policies=2,
            total_level=10,
            magnitude_level='${rand_magnitude}',
            magnitude_std=0.5,
            hparams=dict(pad_val=128, interpolation='bicubic'),
        ),
    ),
    dict(
        type='vitmm.ForRGB',
        transform=dict(
            type='mmpretrain.RandomErasing',
            erase_prob='${erase_prob}',
            min_area_ratio=0.02,
            max_area_ratio=1 / 3,
            mode='rand',
        ),
    ),
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    '${load_image}',
    dict(
        type='mmpretrain.ResizeEdge',
        scale='${resize_edge}',
        edge='short',
        backend='torch',
        interpolation='bicubic',
    ),
    dict(type='mmpretrain.CenterCrop', crop_size='${image_size}'),
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]
tta_pipeline = [
    '${load_image}',
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(
                    type='mmpretrain.ResizeEdge',
                    scale='${resize_edge}',
                    edge='short',
                    backend='torch',
                    interpolation='bicubic',
                )
            ],
            [dict(type='mmpretrain.CenterCrop', crop_size='${image_size}')],
            [
                dict(type='mmpretrain.RandomFlip', prob=0.0),
                dict(type='mmpretrain.RandomFlip', prob=1.0),
            ],
            [dict(type='mmpretrain.PackInputs')],
        ],
    ),
]

train_dataloader = dict(
    batch_size=32,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.stack_images'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='${training.sampler}', shuffle=True),
    dataset=dict(
        type='mmpretrain.CustomDataset',
        data_root='${data_root}',
        data_prefix='${train_images}',
        metainfo=dict(classes='${data.classes}'),
        extensions=_extensions,
        pipeline='${train_pipeline}',
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.stack_images'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.CustomDataset',
        data_root='${data_root}',
        data_prefix='${val_images}',
        metainfo=dict(classes='${data.classes}'),
        extensions=_extensions,
        test_mode=True,
        pipeline='${test_pipeline}',
    ),
)
test_dataloader = '${val_dataloader}'

val_evaluator = dict(type='vitmm.Accuracy', topk='${topk}')
test_evaluator = '${val_evaluator}'
