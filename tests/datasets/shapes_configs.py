"""Data set configs of ``shapes`` in each format, as tests need them; editing their files."""

import json


def edit(path, change):
    """Change the content of a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def coco(root, **options):
    return {
        'type': 'mmdet.CocoDataset',
        'data_root': str(root),
        'ann_file': 'coco/instances_train.json',
        'data_prefix': {'img': 'JPEGImages/'},
        **options,
    }


def voc(root, type='mmdet.XMLDataset', **options):
    return {
        'type': type,
        'data_root': str(root),
        'ann_file': 'ImageSets/Main/train.txt',
        'data_prefix': {'sub_data_root': ''},
        **options,
    }


def seg(root, type='mmseg.BaseSegDataset', **options):
    return {
        'type': type,
        'data_root': str(root),
        'ann_file': 'ImageSets/Segmentation/train.txt',
        'data_prefix': {'img_path': 'JPEGImages', 'seg_map_path': 'SegmentationClass'},
        **options,
    }


def folders(root, type='mmpretrain.CustomDataset', **options):
    return {'type': type, 'data_root': str(root / 'imagefolder'), 'data_prefix': 'train', **options}
