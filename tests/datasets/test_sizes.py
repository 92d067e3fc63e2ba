"""How much a pipeline enlarges images, against what the transforms themselves make of them."""

from collections import Counter

import mmdet.datasets
import numpy as np
import pytest
from mmcv.transforms import RandomChoiceResize, RandomResize
from mmcv.transforms import Resize as PlainResize
from mmdet.datasets.transforms import Resize
from support import CONFIGS

from vitmm.config import load_config, resolve
from vitmm.datasets.inspection import inspect
from vitmm.datasets.sizes import enlargement, some_sizes

assert mmdet.datasets  # registers what the pipelines name


@pytest.mark.parametrize('size', [(160, 120), (90, 160), (100, 100)])
@pytest.mark.parametrize(
    ('transform', 'settings'),
    [
        (Resize, dict(scale=(1333, 800), keep_ratio=True)),
        (Resize, dict(scale=(800, 1333), keep_ratio=True)),
        (PlainResize, dict(scale=(640, 480))),
        (RandomResize, dict(scale=(2048, 512), ratio_range=(1.0, 1.0), keep_ratio=True)),
        (RandomChoiceResize, dict(scales=[(500, 500)], keep_ratio=True)),
    ],
)
def test_it_is_what_the_transform_does(size, transform, settings):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    step = dict(type=transform.__name__, **settings)
    if transform.__name__.startswith('Random'):
        step['resize_type'] = settings['resize_type'] = 'Resize'
    done = transform(**settings)(dict(img=image, img_shape=image.shape[:2]))
    found = enlargement([dict(type='LoadImageFromFile'), step], [size] * 3)
    assert found.size == size
    assert size[0] * found.factor == pytest.approx(done['img'].shape[1], abs=1)


@pytest.mark.parametrize(
    ('pipeline', 'sizes'),
    [
        ([dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True)], [(640, 480)]),  # COCO's
        ([dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True)], []),
        ([dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True)], [(0, 0)]),  # some XML
        ([dict(type='mmdet.RandomFlip', prob=0.5), '${load_image}'], [(8, 8)]),
        ([dict(type='mmseg.Resize', scale_factor=8.0)], [(8, 8)]),
    ],
    ids=['little', 'nothing known', 'nothing said', 'no resizing', 'no scale'],
)
def test_nothing_is_said(pipeline, sizes):
    assert enlargement(pipeline, sizes) is None


def test_sizes_are_those_of_the_files(tiny_shapes):
    of = {
        'det/vit_retinanet.py': ('shapes', {}),
        'seg/vit_fcn.py': ('shapes', {}),
        'det/vit_faster_rcnn.py': ('voc', {
            'train_list': 'ImageSets/Main/train.txt', 'val_list': 'ImageSets/Main/val.txt',
            'train_prefix': '', 'val_prefix': '',
        }),
    }  # fmt: skip
    for recipe, (data, options) in of.items():
        options = {'data_root': str(tiny_shapes), **options}
        if data == 'shapes':
            options['prepare_data'] = None
        cfg = resolve(load_config(CONFIGS / recipe, data, options))
        dataset = cfg.train_dataloader.dataset
        decoded = inspect(dataset, cfg.default_scope).sizes
        assert Counter(some_sizes(dataset, cfg.default_scope)) == decoded, recipe
