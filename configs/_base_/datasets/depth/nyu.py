"""NYU Depth v2, and whatever lies as it does: images, and depth in 16-bit PNGs of their names.

mmseg's NYUDataset wants a digit in each name. Images are not resized: the true size of things is
what tells how far they are.
"""

data_root = 'data/nyu'
train_images = 'images/train'
train_depth = 'annotations/train'
val_images = 'images/test'
val_depth = 'annotations/test'
image_suffix = '.jpg'
depth_unit = 1e-3  # metres of one step in the PNGs
min_eval, max_eval = 1e-3, 10.0  # metres; what lies beyond is not validated
eval_crop = 'nyu_crop'  # Eigen's crop of 480 x 640; None is the whole image
max_value = None  # that stands for full brightness: of the images' integers, or 1 of floats
image_cache = None  # a folder for decoded images: pays where they fit into memory
cache_limit = 16  # GiB
crop_size = (480, 480)

load_image = dict(
    type='vitmm.LoadImage',
    channels='${backbone.in_chans}',
    max_value='${max_value}',
    cache='${image_cache}',
    cache_limit='${cache_limit}',
)
load_depth = dict(type='vitmm.LoadDepth', unit='${depth_unit}')
train_pipeline = [
    '${load_image}',
    '${load_depth}',
    dict(type='mmseg.RandomCrop', crop_size='${crop_size}'),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='vitmm.ForRGB', transform=dict(type='mmseg.PhotoMetricDistortion')),
    dict(type='vitmm.Planes'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    '${load_image}',
    '${load_depth}',
    dict(type='vitmm.Planes'),
    dict(type='mmseg.PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.collate'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='${training.sampler}', shuffle=True),
    dataset=dict(
        type='mmseg.NYUDataset',
        data_root='${data_root}',
        data_prefix=dict(
            img_path='${train_images}',
            depth_map_path='${train_depth}',
            seg_map_path='${train_depth}',  # looked at before training, as masks are
        ),
        img_suffix='${image_suffix}',
        pipeline='${train_pipeline}',
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.collate'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='vitmm.SameSizeBatchSampler'),
    dataset=dict(
        type='mmseg.NYUDataset',
        data_root='${data_root}',
        data_prefix=dict(
            img_path='${val_images}',
            depth_map_path='${val_depth}',
            seg_map_path='${val_depth}',
        ),
        img_suffix='${image_suffix}',
        test_mode=True,
        pipeline='${test_pipeline}',
    ),
)
test_dataloader = '${val_dataloader}'

# abs_rel; rmse, metres; d1, the share within a factor of 1.25; and others.
val_evaluator = dict(
    type='vitmm.DepthMetric',
    min_depth_eval='${min_eval}',
    max_depth_eval='${max_eval}',
    crop_type='${eval_crop}',
)
test_evaluator = '${val_evaluator}'
