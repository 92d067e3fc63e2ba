"""COCO 2017, and any detection data in COCO's format: give data_root and the names below."""

data_root = 'data/coco'
train_ann = 'annotations/instances_train2017.json'
train_images = 'train2017/'
val_ann = 'annotations/instances_val2017.json'
val_images = 'val2017/'
image_scale = (1333, 800)
crop_size = (1024, 1024)  # (w, h) of large-scale jitter
uncropped_side = 1333  # the most that the longer side has before multi-scale training crops it
max_value = None  # that stands for full brightness: of the images' integers, or 1 of floats
bad_data = 'stop'  # 'skip' leaves out what is bad, and counts it
reduce = True  # decode JPEGs at 1/2, 1/4 or 1/8 where that is still no enlargement
image_cache = None  # a folder for decoded images: pays where they fit into memory
cache_limit = 16  # GiB
# The heads that want masks say so by padding them.
_load_annotations = dict(
    type='mmdet.LoadAnnotations',
    with_bbox=True,
    with_mask='${model.data_preprocessor.pad_mask}',
)
_meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')

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
    _load_annotations,
    dict(type='mmdet.Resize', scale='${image_scale}', keep_ratio=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='vitmm.Planes'),
    dict(type='mmdet.PackDetInputs'),
]
# Large-scale jitter, https://arxiv.org/abs/2012.07177, in a recipe:
# train_dataloader = dict(dataset=dict(pipeline='${jitter_pipeline}'))
jitter_pipeline = [
    '${load_image}',
    _load_annotations,
    dict(
        type='RandomResize',
        resize_type='mmdet.Resize',
        scale='${crop_size}',
        ratio_range=(0.1, 2.0),
        keep_ratio=True,
    ),
    dict(
        type='mmdet.RandomCrop',
        crop_size='${crop_size}',
        recompute_bbox='${model.data_preprocessor.pad_mask}',
        allow_negative_crop=True,
    ),
    dict(type='mmdet.FilterAnnotations', min_gt_bbox_wh=(1, 1)),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='vitmm.Planes'),
    dict(type='mmdet.PackDetInputs'),
]
# Multi-scale training with crops, https://arxiv.org/abs/2005.12872 (appendix A.4), likewise:
# train_dataloader = dict(dataset=dict(pipeline='${multiscale_pipeline}'))
_resize_to_scales = dict(
    type='RandomChoiceResize',
    resize_type='mmdet.Resize',
    scales=[(side, 1333) for side in range(480, 801, 32)],
    keep_ratio=True,
)
multiscale_pipeline = [
    '${load_image}',
    _load_annotations,
    dict(
        type='RandomChoice',
        transforms=[
            [_resize_to_scales],
            [
                dict(
                    type='RandomChoiceResize',
                    resize_type='mmdet.Resize',
                    scales=[(side, '${uncropped_side}') for side in (400, 500, 600)],
                    keep_ratio=True,
                ),
                dict(
                    type='mmdet.RandomCrop',
                    crop_type='absolute_range',
                    crop_size=(384, 600),
                    allow_negative_crop=True,
                ),
                _resize_to_scales,
            ],
        ],
    ),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='vitmm.Planes'),
    dict(type='mmdet.PackDetInputs'),
]
test_pipeline = [
    '${load_image}',
    dict(type='mmdet.Resize', scale='${image_scale}', keep_ratio=True),
    _load_annotations,
    dict(type='vitmm.Planes'),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=_meta_keys,
    ),
]
tta_pipeline = [
    '${load_image}',
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='mmdet.Resize', scale='${image_scale}', keep_ratio=True)],
            [dict(type='mmdet.RandomFlip', prob=1.0), dict(type='mmdet.RandomFlip', prob=0.0)],
            [_load_annotations],
            [
                dict(
                    type='mmdet.PackDetInputs',
                    meta_keys=(*_meta_keys, 'flip', 'flip_direction'),
                )
            ],
        ],
    ),
]

train_dataloader = dict(
    batch_size=2,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.collate'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    sampler=dict(type='${training.sampler}', shuffle=True),
    batch_sampler=dict(type='mmdet.AspectRatioBatchSampler'),
    dataset=dict(
        type='mmdet.CocoDataset',
        data_root='${data_root}',
        ann_file='${train_ann}',
        data_prefix=dict(img='${train_images}'),
        metainfo=dict(classes='${data.classes}'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline='${train_pipeline}',
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers='${machine.workers}',
    pin_memory='${machine.gpu}',
    collate_fn=dict(type='vitmm.collate'),
    worker_init_fn=dict(type='vitmm.seed_worker'),
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdet.CocoDataset',
        data_root='${data_root}',
        ann_file='${val_ann}',
        data_prefix=dict(img='${val_images}'),
        metainfo=dict(classes='${data.classes}'),
        test_mode=True,
        pipeline='${test_pipeline}',
    ),
)
test_dataloader = '${val_dataloader}'

val_evaluator = dict(type='vitmm.CocoMetric', ann_file='${data_root}/${val_ann}')
test_evaluator = '${val_evaluator}'
