"""Images and mask PNGs in folders of the same file names: your own data, give data_root.

A pixel's value in a mask is its class, 0 to N - 1; 255 is ignored. The names of the classes come
from a ``classes.txt`` in the masks' folder or in data_root, one a line.
"""

data_root = 'data/folder'
train_images = 'images/training'
train_masks = 'annotations/training'
val_images = 'images/validation'
val_masks = 'annotations/validation'
train_list = val_list = ''  # files that list the images, without suffix; all by default
image_suffix = '.jpg'
mask_suffix = '.png'
max_value = None  # that stands for full brightness: of the images' integers, or 1 of floats
bad_data = 'stop'  # 'skip' leaves out what is bad, and counts it
reduce = True  # decode JPEGs at 1/2, 1/4 or 1/8 where that is still no enlargement
image_cache = None  # a folder for decoded images: pays where they fit into memory
cache_limit = 16  # GiB
reduce_zero_label = False
image_scale = (2048, 512)
crop_size = (512, 512)

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
        type='vitmm.CheckedLoad',
        transform=dict(type='mmseg.LoadAnnotations', reduce_zero_label='${reduce_zero_label}'),
        num_classes='${data.num_classes}',
    ),
    dict(
        type='RandomResize',
        scale='${image_scale}',
        ratio_range=(0.5, 2.0),
        keep_ratio=True,
    ),
    dict(type='mmseg.RandomCrop', crop_size='${crop_size}', cat_max_ratio=0.75),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='vitmm.ForRGB', transform=dict(type='mmseg.PhotoMetricDistortion')),
    dict(type='vitmm.Planes'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    '${load_image}',
    dict(type='mmseg.Resize', scale='${image_scale}', keep_ratio=True),
    dict(
        type='vitmm.CheckedLoad',
        transform=dict(type='mmseg.LoadAnnotations', reduce_zero_label='${reduce_zero_label}'),
        num_classes='${data.num_classes}',
    ),
    dict(type='vitmm.Planes'),
    dict(type='mmseg.PackSegInputs'),
]
tta_pipeline = [
    '${load_image}',
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='mmseg.Resize', scale='${image_scale}', keep_ratio=True)],
            [
                dict(type='mmseg.RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='mmseg.RandomFlip', prob=1.0, direction='horizontal'),
            ],
            [
                dict(
                    type='vitmm.CheckedLoad',
                    transform=dict(
                        type='mmseg.LoadAnnotations', reduce_zero_label='${reduce_zero_label}'
                    ),
                )
            ],
            [dict(type='mmseg.PackSegInputs')],
        ],
    ),
]

train_dataloader = dict(
    batch_size=4,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.collate'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='${training.sampler}', shuffle=True),
    dataset=dict(
        type='mmseg.BaseSegDataset',
        data_root='${data_root}',
        ann_file='${train_list}',
        data_prefix=dict(img_path='${train_images}', seg_map_path='${train_masks}'),
        img_suffix='${image_suffix}',
        seg_map_suffix='${mask_suffix}',
        reduce_zero_label='${reduce_zero_label}',
        metainfo=dict(classes='${data.classes}'),
        pipeline='${train_pipeline}',
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.collate'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='vitmm.SameSizeBatchSampler'),
    dataset=dict(
        type='mmseg.BaseSegDataset',
        data_root='${data_root}',
        ann_file='${val_list}',
        data_prefix=dict(img_path='${val_images}', seg_map_path='${val_masks}'),
        img_suffix='${image_suffix}',
        seg_map_suffix='${mask_suffix}',
        reduce_zero_label='${reduce_zero_label}',
        metainfo=dict(classes='${data.classes}'),
        test_mode=True,
        pipeline='${test_pipeline}',
    ),
)
test_dataloader = '${val_dataloader}'

val_evaluator = dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'])
test_evaluator = '${val_evaluator}'
