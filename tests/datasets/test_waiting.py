"""A transform before the resizing sees what it would see if JPEGs were decoded at once."""

import random

import mmseg.datasets  # noqa: F401 (these declare their transforms)
import numpy as np
import pytest
from mmcv import transforms
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import Compose
from PIL import Image

from vitmm.datasets.jpeg import JpegImage
from vitmm.datasets.loading import LoadImage
from vitmm.datasets.waiting import may_wait
from vitmm.registry import TRANSFORMS

SIZE = (240, 320)  # height, width
CUT = dict(n_holes=2, cutout_ratio=(0.2, 0.2))
OTHERS = [
    dict(type='mmdet.Expand', prob=1.0),
    dict(type='mmdet.MinIoURandomCrop'),
    dict(type='mmdet.PhotoMetricDistortion'),
    dict(type='mmdet.YOLOXHSVRandomAug'),
    dict(type='mmdet.CutOut', **CUT),
    dict(type='mmdet.RandomErasing', n_patches=2, ratio=0.2),
    dict(type='mmdet.RandomAffine'),
    dict(type='mmdet.Pad', size_divisor=64),
    dict(type='mmdet.Color', prob=1.0),
    dict(type='mmdet.Rotate', prob=1.0),
    dict(type='mmdet.ShearX', prob=1.0),
    dict(type='mmdet.RandAugment', aug_space=[[dict(type='mmdet.Color')]] * 2),
    dict(type='mmdet.RandomFlip', prob=1.0),
    dict(type='mmcv.CenterCrop', crop_size=50),
    dict(type='mmcv.Normalize', mean=[1, 2, 3], std=[1, 1, 1]),
    dict(type='mmpretrain.GaussianBlur', magnitude_range=(0.1, 2.0), prob=1.0),
    dict(type='mmpretrain.NumpyToPIL', to_rgb=True),
    dict(type='mmseg.CLAHE'),
    dict(type='mmseg.RandomRotate', prob=1.0, degree=20),
    dict(type='mmseg.RandomCutOut', prob=1.0, **CUT),
    dict(type='vitmm.ForRGB', transform=dict(type='mmseg.PhotoMetricDistortion')),
    dict(type='RandomChoice', transforms=[[dict(type='mmdet.YOLOXHSVRandomAug')]]),
    dict(type='RandomApply', prob=1.0, transforms=[dict(type='mmdet.CutOut', **CUT)]),
]
RESIZING = [
    dict(type='mmdet.Resize', scale=(80, 60)),
    dict(type='mmdet.FixScaleResize', scale=(80, 60)),
    dict(type='mmdet.RandomCrop', crop_size=(200, 200)),
    dict(type='mmseg.Resize', scale=(80, 60)),
    dict(type='mmseg.ResizeShortestEdge', scale=60, max_size=100),
    dict(type='mmseg.ResizeToMultiple', size_divisor=32),
    dict(type='mmseg.RandomCrop', crop_size=(200, 200)),
    dict(type='mmpretrain.ResizeEdge', scale=60),
    dict(type='mmpretrain.RandomResizedCrop', scale=60),
    dict(type='Resize', scale=(80, 60)),
    dict(type='RandomResize', resize_type='Resize', scale=(80, 60), ratio_range=(1, 1)),
    dict(type='RandomChoiceResize', resize_type='Resize', scales=[(80, 60)]),
    dict(type='RandomChoice', transforms=[[dict(type='Resize', scale=(80, 60))]]),
]


@pytest.fixture(scope='module')
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'a.jpg'
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(SIZE[::-1]).save(path, quality=95)
    return path


def run(transform, path, reduce):
    random.seed(0)
    np.random.seed(0)
    results = LoadImage(reduce=reduce)({'img_path': str(path), 'img_id': 0})
    if 'mmseg' in type(transform).__module__:
        results |= dict(gt_seg_map=np.zeros(SIZE, np.uint8), seg_fields=['gt_seg_map'])
    if 'mmdet' in type(transform).__module__:
        results |= dict(
            gt_bboxes=HorizontalBoxes(np.array([[10, 10, 160, 160.0]], np.float32)),
            gt_bboxes_labels=np.array([0]),
            gt_ignore_flags=np.array([False]),
        )
    assert isinstance(results['img'], JpegImage) is reduce
    return transform(results)


@pytest.mark.parametrize('settings', OTHERS, ids=lambda one: one['type'])
def test_all_others_see_the_array(settings, photograph):
    transform = TRANSFORMS.build(settings)
    expected, found = (run(transform, photograph, reduce) for reduce in (False, True))
    assert type(found['img']) is type(expected['img'])
    assert np.array_equal(np.asarray(found['img']), np.asarray(expected['img']))


@pytest.mark.parametrize('settings', RESIZING, ids=lambda one: one['type'])
def test_what_resizes_and_crops_decides_itself(settings, photograph):
    transform = TRANSFORMS.build(settings)
    assert may_wait(transform)
    expected, found = (run(transform, photograph, reduce) for reduce in (False, True))
    assert found['img'].shape == expected['img'].shape
    difference = np.abs(np.asarray(found['img'], float) - np.asarray(expected['img'], float))
    assert difference.mean() < 4  # of 255
    assert found['img_shape'] == expected['img_shape']


class Negative(BaseTransform):
    def transform(self, results):
        results['img'] = 255 - results['img']
        return results


class OwnResize(type(TRANSFORMS.build(dict(type='mmdet.Resize', scale=(8, 6))))):
    """What is derived may look at pixels first."""

    def transform(self, results):
        assert isinstance(results['img'], np.ndarray)
        return super().transform(results)


def negative(results):
    return {**results, 'img': 255 - results['img']}


def test_transforms_of_ones_own(photograph):
    stock = transforms.Compose([])  # of the Predictor; it builds its parts
    stock.transforms.append(negative)
    for transform in (Negative(), stock, Compose([negative]), Compose([Negative()])):
        expected, found = (run(transform, photograph, reduce) for reduce in (False, True))
        assert np.array_equal(found['img'], expected['img'])
    own = OwnResize(scale=(80, 60))
    assert not may_wait(own)
    assert run(own, photograph, True)['img'].shape == (60, 80, 3)
    assert Compose([lambda results: None, negative])({}) is None
    stock.transforms.insert(0, lambda results: None)
    assert stock({}) is None


def test_images_that_are_mixed(photograph):
    results = run(Compose([]), photograph, True)
    results['mix_results'] = [run(Compose([]), photograph, True)]
    found = Negative()(results)
    assert isinstance(found['mix_results'][0]['img'], np.ndarray)
