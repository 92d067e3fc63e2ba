"""Every image under a folder, without labels: your own data, give data_root."""

data_root = 'data/folder'
train_images = ''
image_size = 224
crop_ratio_range = (0.2, 1.0)
max_value = None  # that stands for full brightness: of the images' integers, or 1 of floats
reduce = True  # decode JPEGs at 1/2, 1/4 or 1/8 where that is still no enlargement
image_cache = None  # a folder for decoded images: pays where they fit into memory
cache_limit = 16  # GiB

train_pipeline = [
    dict(
        type='vitmm.LoadImage',
        channels='${backbone.in_chans}',
        max_value='${max_value}',
        reduce='${reduce}',
        cache='${image_cache}',
        cache_limit='${cache_limit}',
    ),
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
train_dataloader = dict(
    batch_size=64,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.stack_images'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='${training.sampler}', shuffle=True),
    dataset=dict(
        type='mmpretrain.CustomDataset',
        data_root='${data_root}',
        data_prefix='${train_images}',
        with_label=False,
        extensions=('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'),
        pipeline='${train_pipeline}',
    ),
)
