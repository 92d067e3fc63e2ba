"""Masks of objects that are none: named by check, refused at the start, left out and counted."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_api
from shapes_configs import coco, edit

from vitmm.datasets import DataError, check_annotations, coco_file
from vitmm.datasets.coco_masks import mask_fault, unpack
from vitmm.datasets.draw import CLASSES
from vitmm.datasets.inspection import inspect
from vitmm.datasets.leave_out import leave_out

MASKED = {
    'metainfo': {'classes': CLASSES},
    'pipeline': [{'type': 'mmdet.LoadAnnotations', 'with_bbox': True, 'with_mask': True}],
}
BAD = {
    'has run lengths of 10 x 10 pixels, and its image has': {'size': [10, 10], 'counts': [50, 50]},
    'has run lengths that cannot be read: zzzz!!': {'size': 'same', 'counts': 'zzzz!!'},
    'has run lengths of 24 pixels, and its size is': {'size': 'same', 'counts': [20, 4]},
    'has run lengths of 7 pixels, and its size is': {'size': 'same', 'counts': '34'},
    'has run lengths of the size None': {'counts': [20, 4]},
    'a list of polygons is wanted': [1, 1, 5, 1, 5, 5],
    'has a polygon of other things than numbers': [['a', 'b', 1, 2, 3, 4]],
    'has a polygon of 4 numbers': [[1, 1, 5, 5], [1, 1, 5, 1, 5, 5]],
    'has a polygon of 7 numbers': [[1, 1, 5, 1, 5, 5, 7]],
    'has no segmentation': [],
    'neither polygons nor run lengths': 'mask.png',
}


def spoil(root, segmentation, place=1):
    """Give one annotation another mask; returns its id."""
    found = {}

    def change(content):
        one = content['annotations'][place]
        (image,) = (i for i in content['images'] if i['id'] == one['image_id'])
        if isinstance(segmentation, dict) and segmentation.get('size') == 'same':
            segmentation['size'] = [image['height'], image['width']]
        one['segmentation'] = segmentation
        found.update(id=one['id'])

    edit(root / 'coco/instances_train.json', change)
    return found['id']


@pytest.mark.parametrize('words', BAD)
def test_a_bad_mask(words, copy, tmp_path):
    segmentation = BAD[words]
    number = spoil(copy, dict(segmentation) if isinstance(segmentation, dict) else segmentation)
    named = rf'box {number} .*{re.escape(words)}'
    (fault,) = inspect(coco(copy, **MASKED)).faults
    assert re.search(named, fault)
    if words == 'has no segmentation':
        named = '1 of its .* annotations have no segmentation.*or leave these out with'
    with pytest.raises(DataError, match=f'{named}.*bad_data=skip'):
        check_annotations(coco(copy, **MASKED))
    for test_mode in (False, True):
        left, said = leave_out(coco(copy, **MASKED, test_mode=test_mode), None, 'train', tmp_path)
        assert '0 of 8 images and 1 boxes are bad' in said
        kept = json.loads(Path(left['ann_file']).read_text())['annotations']
        assert number not in [one['id'] for one in kept] and kept
        check_annotations(left, boxes=False)
    # A model of boxes reads no masks.
    assert inspect(coco(copy)).faults == []
    check_annotations(coco(copy))


def test_a_stray_point_beside_a_polygon_harms_nothing(copy):
    spoil(copy, [[1, 1, 5, 1, 5, 5], [1, 1]])
    assert inspect(coco(copy, **MASKED)).faults == []
    check_annotations(coco(copy, **MASKED))


def test_no_masks_at_all_is_a_matter_of_the_model(copy, tmp_path):
    edit(
        copy / 'coco/instances_train.json',
        lambda content: [one.pop('segmentation') for one in content['annotations']],
    )
    (fault,) = inspect(coco(copy, **MASKED)).faults
    assert 'take a model of boxes' in fault and 'skip' not in fault
    left, _ = leave_out(coco(copy, **MASKED), None, 'train', tmp_path)
    with pytest.raises(DataError, match='take a model of boxes'):
        check_annotations(left, boxes=False)


def test_packed_run_lengths_are_those_of_cocos_api():
    rng = np.random.default_rng(0)
    for side in (1, 7, 300):
        for cell in (1, 40, 500):
            mask = rng.random((-(-side // cell), side)) > 0.5
            mask = np.asfortranarray(mask.repeat(cell, 0)[:side], np.uint8)
            packed = coco_api.encode(mask)
            text = packed['counts'].decode()
            runs = unpack(text)
            colours = np.arange(len(runs)) % 2
            assert np.array_equal(np.repeat(colours, runs).reshape(side, side).T, mask)
            whole = {'size': packed['size'], 'counts': text}
            plain = {'size': packed['size'], 'counts': runs.tolist()}
            assert mask_fault(whole, (side, side)) == mask_fault(plain, (side, side)) == ''
            assert mask_fault({**whole, 'counts': f'{text}1'}, (side, side))


def test_long_files_are_unpacked_by_the_check_only(copy, monkeypatch):
    spoil(copy, {'size': 'same', 'counts': '34'})
    monkeypatch.setattr(coco_file, '_MANY', 3)
    check_annotations(coco(copy, **MASKED))
    assert len(inspect(coco(copy, **MASKED)).faults) == 1
    spoil(copy, {'size': 'same', 'counts': 'zzzz!!'})
    with pytest.raises(DataError, match='cannot be read'):
        check_annotations(coco(copy, **MASKED))
