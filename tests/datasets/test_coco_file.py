"""What is asked of all boxes of a COCO file at once is what is asked of each."""

import json

import numpy as np
import pytest

from vitmm.datasets import coco_file
from vitmm.datasets.coco_file import read_coco

ODD = [[0, 0, 5, 5], [0, 0, 0, 5], [-0.5, 0, 5, 5], [-0.6, 0, 5, 5], [0, 0, 10.5, 20.5]]
ODD += [[0, 0, 10.6, 5], [10, 0, 0.2, 5], [9.9, 0, 0.2, 5], [0, 25, 5, 5], [-5, -5, 5, 5]]
ODD += [[1, 1, 1e-30, 5], [1, 1, 0.5, 5], [None, 1, 2, 3], ['1', '2', '3', '4'], [1, 1, -2, 3]]
MORE = [[1, 2, 3], [], [[1, 2, 3, 4]], 'abcd', ['a', 1, 2, 3], [1, 2, 3, 4, 5]]


def write(folder, boxes, **image):
    path = folder / f'{len(list(folder.iterdir()))}.json'
    images = [dict(id=7, file_name='a.jpg', width=10, height=20) | image, dict(id=8, file_name='b')]
    annotations = [
        dict(id=number, image_id=[7, 7, 7, 8, 9][number % 5], category_id=1, bbox=box, area=1)
        for number, box in enumerate(boxes)
    ]
    categories = [dict(id=1, name='one')]
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return path


def one_by_one(path, monkeypatch):
    """The same, without asking all at once."""
    with monkeypatch.context() as patch:
        patch.setattr(coco_file, '_numbers', lambda boxes: None)
        coco_file._read_coco.cache_clear()
        return read_coco(path)


def test_numbers_at_once_are_those_one_by_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for scale in (3, 12, 30):
        boxes = rng.normal(0, scale, (400, 4)).tolist()
        for some in (boxes, ODD * 5, boxes + ODD, [*boxes, *MORE], ODD + MORE):
            path = write(tmp_path, some)
            slow = one_by_one(path, monkeypatch)
            coco_file._read_coco.cache_clear()
            assert read_coco(path) == slow
            assert 0 < slow.bad_boxes.count < len(some)
            assert slow.bad_boxes.first


@pytest.mark.parametrize('box', [*ODD, *MORE])
def test_each_odd_box(box, tmp_path, monkeypatch):
    path = write(tmp_path, [box])
    slow = one_by_one(path, monkeypatch)
    coco_file._read_coco.cache_clear()
    assert read_coco(path) == slow


def test_numbers_that_are_missing_or_there_twice(tmp_path):
    path = write(tmp_path, [[0, 0, 5, 5]] * 3)
    content = json.loads(path.read_text())
    assert read_coco(path).faults == ('b has no width and no height',)
    content['images'][1] |= dict(width=3, height=3)
    del content['annotations'][0]['area']
    content['annotations'][2]['id'] = 1
    path.write_text(json.dumps(content))
    assert read_coco(path).faults == ('annotation 0 has no area', 'two annotations have the id 1')


@pytest.mark.parametrize('side', [None, '20', 0, -3])
def test_sizes_that_are_none(side, tmp_path):
    path = write(tmp_path, [[0, 0, 5, 5]], height=side)
    assert f'a.jpg is 10 x {side!r}, which are no numbers of pixels' in read_coco(path).faults
    assert read_coco(path).sizes == ()
