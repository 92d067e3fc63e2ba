"""Tree crowns in aerial photographs; written by: python tools/prepare_data.py trees"""

_base_ = './coco.py'

data_root = 'data/trees'
train_ann = 'annotations/instances_train.json'
train_images = 'images/train/'
val_ann = 'annotations/instances_val.json'
val_images = 'images/val/'
image_scale = crop_size = (512, 512)
train_pipeline = [
    '${load_image}',
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(type='mmdet.Resize', scale='${image_scale}', keep_ratio=True),
    # Seen from above, nothing is upright.
    dict(type='mmdet.RandomFlip', prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='vitmm.Planes'),
    dict(type='mmdet.PackDetInputs'),
]

train_dataloader = dict(batch_size=4, dataset=dict(filter_cfg=dict(min_size=1)))
