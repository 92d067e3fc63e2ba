import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitmm.datasets import DataError, write_trees
from vitmm.datasets.trees import PHOTOGRAPHS, tile_photograph

BOXES = {
    '2019_YELL_2_528000_4978000_image_crop2': [(10, 10, 30, 30), (90, 40, 120, 60)],
    '2019_YELL_2_541000_4977000_image_crop': [(5, 5, 25, 25)],
    'OSBS_029': [(110, 10, 150, 30)],
    'SOAP_061': [(40, 40, 60, 60), (1, 2, 20, 30)],
}


def box_xml(box):
    sides = zip(('xmin', 'ymin', 'xmax', 'ymax'), box, strict=True)
    inside = ''.join(f'<{side}>{value}</{side}>' for side, value in sides)
    return f'<object><name>Tree</name><bndbox>{inside}</bndbox></object>'


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / 'deepforest-2.1.0-py3-none-any.whl'
    Image.fromarray(np.full((100, 210, 3), 99, np.uint8)).save(tmp_path / 'photo.png')
    with zipfile.ZipFile(path, 'w') as archive:
        for name, boxes in BOXES.items():
            archive.write(tmp_path / 'photo.png', f'deepforest/data/{name}.png')
            xml = f'<annotation>{"".join(map(box_xml, boxes))}</annotation>'
            archive.writestr(f'deepforest/data/{name}.xml', xml)
        archive.writestr('deepforest-2.1.0.dist-info/licenses/LICENSE', 'MIT License, some text')
    return path


def test_a_wheel_becomes_a_coco_set(wheel, tmp_path):
    from pycocotools.coco import COCO

    root = write_trees(tmp_path / 'trees', tile=100, wheel=wheel)
    for split, names in PHOTOGRAPHS.items():
        coco = COCO(str(root / f'annotations/instances_{split}.json'))
        assert [c['name'] for c in coco.dataset['categories']] == ['tree']
        assert {image['file_name'][:-14] for image in coco.imgs.values()} == set(names)
        for image in coco.imgs.values():
            size = Image.open(root / f'images/{split}' / image['file_name']).size
            assert size == (image['width'], image['height']) == (100, 100)
    coco = json.loads((root / 'annotations/instances_train.json').read_text())
    # The second box lies across two tiles: 20 of its 30 columns are in the right one.
    assert [a['bbox'] for a in coco['annotations']] == [[10, 10, 20, 20], [0, 40, 20, 20]]
    assert [a['image_id'] for a in coco['annotations']] == [1, 2]
    assert 'MIT License' in (root / 'LICENSE.txt').read_text()
    assert json.loads((root / 'trees.json').read_text())['tile'] == 100
    assert sorted(path.name for path in root.iterdir()) == [
        'LICENSE.txt', 'annotations', 'classes.txt', 'images', 'trees.json'
    ]  # fmt: skip


def test_tiles_hold_each_box_that_is_mostly_inside():
    boxes = np.array([[0, 0, 10, 10], [95, 0, 115, 10], [90, 90, 110, 110], [120, 20, 140, 50]])
    tiles = {(x, y): kept.tolist() for x, y, _, _, kept in tile_photograph((150, 224), boxes, 100)}
    assert tiles == {
        (0, 0): [[0, 0, 10, 10]],
        (100, 0): [[0, 0, 15, 10], [20, 20, 40, 50]],
    }  # the third is a quarter in each of four; the strip from x = 200 is too narrow


@pytest.mark.parametrize('what', ['absent', 'no zip', 'another package'])
def test_a_bad_wheel(what, tmp_path):
    path = tmp_path / 'x.whl'
    if what == 'no zip':
        path.write_text('nothing')
    elif what == 'another package':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('other/a.txt', '')
    with pytest.raises(DataError, match=r'x\.whl'):
        write_trees(tmp_path / 'trees', wheel=path)
    assert not (tmp_path / 'trees').exists()


def test_pip_that_fails_is_one_clear_message(tmp_path, monkeypatch):
    class Failed:
        returncode, stdout = 1, ''
        stderr = 'WARNING: Retrying\nERROR: No matching distribution found\n'

    monkeypatch.setattr('subprocess.run', lambda *_, **__: Failed())
    with pytest.raises(DataError, match=r'No matching distribution.*--wheel'):
        write_trees(tmp_path / 'trees')
    assert not (tmp_path / 'trees').exists()


def test_pip_fetches_what_is_not_named(wheel, tmp_path, monkeypatch):
    class Done:
        returncode = 0

    def fetch(command, **_):
        assert 'deepforest==2.1.0' in command
        folder = command[command.index('-d') + 1]
        (Path(folder) / wheel.name).write_bytes(wheel.read_bytes())
        return Done()

    monkeypatch.setattr('subprocess.run', fetch)
    root = write_trees(tmp_path / 'trees', tile=100)
    assert not list(root.glob('*.whl'))
