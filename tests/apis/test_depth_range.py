"""Depth that would be measured wrongly, or not at all: no training of it, and check says why."""

import re

import numpy as np
import pytest
from PIL import Image
from support import CONFIGS

from vitmm.apis.check_data import check_data
from vitmm.apis.train import train
from vitmm.datasets import write_rooms
from vitmm.datasets.errors import DataError

RECIPE = CONFIGS / 'depth' / 'vit_depth.py'


@pytest.fixture
def options(tmp_path):
    root = write_rooms(tmp_path / 'rooms', 2, 2)
    return {'data_root': str(root)}


def refused(options, words, tmp_path):
    with pytest.raises(DataError, match=words):
        train(RECIPE, data='nyu', work_dir=tmp_path / 'run', options=options)
    (fault,) = check_data(RECIPE, 'nyu', options)[1].faults
    assert re.search(words, fault)


def test_eigens_crop_is_for_nyus_images(options, tmp_path):
    refused(options, r'has \d+ x \d+ pixels, .* 640 x 480, .*: set eval_crop=None', tmp_path)
    train_report, val_report = check_data(RECIPE, 'nyu', {**options, 'eval_crop': None})
    assert not train_report.faults + val_report.faults


def test_a_wrong_unit(options, tmp_path):
    options |= {'eval_crop': None, 'depth_unit': 1}
    refused(
        options, 'depths of .* between min_eval=0.001 and max_eval=10: .* depth_unit=1 m', tmp_path
    )


def test_one_map_without_depth_in_reach_is_left_to_the_metric(options, tmp_path):
    options |= {'eval_crop': None}
    beyond, *_ = sorted((tmp_path / 'rooms/annotations/test').iterdir())
    Image.fromarray(np.full_like(np.asarray(Image.open(beyond)), 60000)).save(beyond)
    assert not check_data(RECIPE, 'nyu', options)[1].faults


def test_what_only_writes_predictions_measures_nothing(options):
    options |= {'val_evaluator.format_only': True, 'val_evaluator.output_dir': 'out'}
    options['val_dataloader.dataset.data_prefix'] = {'_delete_': True, 'img_path': 'images/test'}
    assert not check_data(RECIPE, 'nyu', options)[1].faults


def test_the_range_and_the_bits(options, tmp_path):
    options |= {'eval_crop': None}
    report = check_data(RECIPE, 'nyu', options)[0]
    maps = sorted((tmp_path / 'rooms/annotations/train').iterdir())
    depth = np.concatenate([np.asarray(Image.open(path)).ravel() for path in maps]) / 1000
    assert report.span == pytest.approx((depth[depth > 0].min(), depth.max()))
    assert f'depths {report.span[0]:.4g} to {report.span[1]:.4g} m' in str(report)
    coarse = (np.asarray(Image.open(maps[0])) // 100).astype(np.uint8)
    Image.fromarray(coarse).save(maps[0])
    (note,) = check_data(RECIPE, 'nyu', options)[0].notes
    assert note.startswith('1 of 2 depth maps have 8 bits')
