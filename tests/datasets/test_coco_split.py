"""One COCO file as two."""

import json

import pytest

from vitmm.datasets import DataError
from vitmm.datasets.coco_split import split_coco


@pytest.fixture
def whole(copy):
    return copy / 'coco/instances_train.json'


def test_each_image_is_in_one_with_its_boxes(whole):
    content = json.loads(whole.read_text())
    files = split_coco(whole, 0.3)
    assert [file.name for file in files] == [
        'instances_train_train.json', 'instances_train_val.json',
    ]  # fmt: skip
    parts = [json.loads(file.read_text()) for file in files]
    assert [len(part['images']) for part in parts] == [6, 2]  # of 8
    for key in ('images', 'annotations'):
        joined = sorted(parts[0][key] + parts[1][key], key=lambda one: one['id'])
        assert joined == content[key]
    for part in parts:
        ids = {image['id'] for image in part['images']}
        assert {one['image_id'] for one in part['annotations']} <= ids
        assert part['categories'] == content['categories']


def test_the_draw_is_the_seeds(whole):
    def draw(seed):
        files = split_coco(whole, seed=seed)
        texts = [file.read_text() for file in files]
        for file in files:
            file.unlink()
        return texts

    assert draw(0) == draw(0)
    assert len({draw(seed)[1] for seed in range(8)}) > 1


def test_nothing_is_written_over(whole):
    other = whole.with_name('instances_train_val.json')
    other.write_text('{}')
    with pytest.raises(DataError, match=r'instances_train_val.json: exists already'):
        split_coco(whole)
    assert not whole.with_name('instances_train_train.json').exists()
    other.unlink()
    for share in (0, 1, -0.5):
        with pytest.raises(DataError, match='above 0 and below 1'):
            split_coco(whole, share)
    with pytest.raises(DataError, match='too few to split so'):
        split_coco(whole, 0.99)
