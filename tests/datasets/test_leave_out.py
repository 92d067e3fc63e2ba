"""bad_data='skip': what is bad is left out, all else is as it was, and it is counted."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DATASETS
from PIL import Image
from shapes_configs import coco, edit, folders, seg, voc

from vitmm import collector
from vitmm.datasets import DataError, check_annotations, coco_file, json_files, write_rooms
from vitmm.datasets.draw import CLASSES
from vitmm.datasets.inspection import inspect
from vitmm.datasets.leave_out import leave_out

FILLED = {'metainfo': {'classes': CLASSES}, 'pipeline': []}


def spoil_images(root):
    """One that is broken, one that is no image, one that is not there."""
    whole = (root / 'JPEGImages/train_00001.jpg').read_bytes()
    (root / 'JPEGImages/train_00001.jpg').write_bytes(whole[: len(whole) // 2])
    (root / 'JPEGImages/train_00002.jpg').write_bytes(b'no image')
    (root / 'JPEGImages/train_00003.jpg').unlink()


def built(cfg):
    import mmseg.datasets  # noqa: F401  (all three register their data sets)

    dataset = DATASETS.build(cfg)
    dataset.full_init()
    found = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [{key: one[key] for key in one if key != 'sample_idx'} for one in found]


@pytest.mark.parametrize('cfg', [coco, voc, seg])
def test_images(cfg, copy, tmp_path):
    options = {**FILLED, 'metainfo': {'classes': ('background', *CLASSES)[cfg is not seg :]}}
    before = built(cfg(copy, **options))
    spoil_images(copy)
    left, said = leave_out(cfg(copy, **options), None, 'train', tmp_path / 'out')
    assert 'train: 3 of 8 images' in said
    bad = [f'train_0000{n}.jpg' for n in (1, 2, 3)]
    good = [one for one in before if not one['img_path'].endswith(tuple(bad))]
    assert built(left) == good and len(good) == 5
    assert inspect(left).faults == []
    check_annotations(left)
    (listed,) = (tmp_path / 'out').glob('train-*/left_out.txt')
    lines = listed.read_text().splitlines()
    assert all(name in line for name, line in zip(bad, lines, strict=True))


def test_coco_boxes_in_training_and_in_tests(copy, tmp_path):
    ids = {}

    def change(content):
        first, second, third, fourth = content['annotations'][:4]
        first['bbox'] = [3, 3, 0, 10]
        second['bbox'] = [5000, 3, 9, 10]
        third['category_id'] = 9
        fourth['bbox'][2] += 1000  # reaches out: mmdet cuts it
        ids.update(flat=first['id'], out=second['id'], kind=third['id'], cut=fourth['id'])

    edit(copy / 'coco/instances_train.json', change)
    for test_mode, gone in ((False, {'flat', 'out', 'kind'}), (True, {'kind'})):
        cfg = coco(copy, **FILLED, test_mode=test_mode)
        left, said = leave_out(cfg, None, 'split', tmp_path / 'out')
        assert f'0 of 8 images and {len(gone)} boxes' in said
        kept = {a['id'] for a in json.loads(Path(left['ann_file']).read_text())['annotations']}
        assert {name for name, id in ids.items() if id not in kept} == gone
        check_annotations(left, boxes=False)
    with pytest.raises(DataError, match=f'box {ids["flat"]} .*has no area, and 2 more are bad'):
        edit(
            copy / 'coco/instances_train.json', lambda c: c['annotations'][2].update(category_id=1)
        )
        check_annotations(coco(copy, **FILLED))


@pytest.mark.parametrize('side', [0, None, '30'])
def test_images_of_no_size_are_left_out(side, copy, tmp_path):
    edit(copy / 'coco/instances_train.json', lambda c: c['images'][1].update(width=side))
    with pytest.raises(DataError, match=r'no numbers of pixels; .*bad_data=skip'):
        check_annotations(coco(copy, **FILLED))
    left, said = leave_out(coco(copy, **FILLED), None, 'train', tmp_path / 'out')
    assert 'train: 1 of 8 images' in said
    check_annotations(left)


def test_what_cannot_be_left_out_is_told_of_the_file_itself(copy, tmp_path):
    edit(copy / 'coco/instances_train.json', lambda c: [a.pop('area') for a in c['annotations']])
    with pytest.raises(DataError, match=r'coco/instances_train.json is not whole: .* no area .*: '):
        leave_out(coco(copy, **FILLED), None, 'train', tmp_path / 'out')


def test_voc_boxes(copy, tmp_path):
    path = copy / 'Annotations/train_00000.xml'
    tree = ElementTree.parse(path)
    box = tree.find('object/bndbox')
    box.find('xmax').text = box.find('xmin').text
    box.find('xmin').text = str(int(box.find('xmax').text) + 9)
    tree.write(path)
    (copy / 'Annotations/train_00001.xml').write_text('<annotation>')
    cfg = voc(copy, **FILLED)
    with pytest.raises(DataError, match='not readable XML'):
        check_annotations(cfg)
    count = len(tree.findall('object'))
    left, said = leave_out(cfg, None, 'train', tmp_path / 'out')
    assert '1 of 8 images and 1 boxes' in said
    found = built(left)
    assert len(found) == 7
    (first,) = [one for one in found if one['img_id'] == 'train_00000']
    assert len(first['instances']) == count - 1
    check_annotations(left)
    (copy / 'Annotations/train_00001.xml').write_text('<annotation></annotation>')
    with pytest.raises(DataError, match=r'train_00000\.xml .*has no area; mend it'):
        check_annotations(cfg)


def test_masks(copy, tmp_path):
    path = copy / 'SegmentationClass/train_00000.png'
    mask = np.asarray(Image.open(path)).copy()
    mask[:2, :3] = 77
    Image.fromarray(mask).save(path)
    cfg = seg(copy, metainfo={'classes': ('background', *CLASSES)}, pipeline=[])
    left, said = leave_out(cfg, None, 'val', tmp_path / 'out')
    assert said.startswith('val: 1 of 8 images are bad and left out; by name in ')
    assert len(built(left)) == 7
    # A whole folder, without a list.
    left, said = leave_out({**cfg, 'ann_file': ''}, None, 'val', tmp_path / 'out')
    assert '1 of 12' in said and len(built(left)) == 11


def test_folders_and_lists(copy, tmp_path):
    (path,) = sorted((copy / 'imagefolder/train/star').glob('*.jpg'))[:1]
    cfg = folders(copy, pipeline=[], metainfo={'classes': sorted(CLASSES)})
    before = built(cfg)
    path.write_bytes(b'no image')
    left, said = leave_out(cfg, None, 'train', tmp_path / 'out')
    assert '1 of 12 images are bad' in said
    assert built(left) == [one for one in before if one['img_path'] != str(path)]
    # Codes for folders, names in the config: labels stay those of the folders.
    named = {**cfg, 'metainfo': {'classes': [f'name {i}' for i in range(6)]}}
    left, _ = leave_out(named, None, 'train', tmp_path / 'out')
    assert built(left) == [one for one in before if one['img_path'] != str(path)]
    (other,) = sorted((copy / 'imagefolder/train/ring').glob('*.jpg'))[:1]
    (copy / 'imagefolder/list.txt').write_text(
        f'ring/{other.name} 1\nring/{other.name} 7\nstar/{path.name} 2\n'
    )
    listed = folders(copy, ann_file='list.txt', pipeline=[], metainfo={'classes': ['a', 'b', 'c']})
    with pytest.raises(DataError, match='label 7; there are 0 to 2'):
        check_annotations(listed)
    left, said = leave_out(listed, None, 'train', tmp_path / 'out')
    assert '2 of 3' in said
    assert [one['gt_label'] for one in built(left)] == [1]


@pytest.mark.parametrize('cfg', [folders, seg])
def test_folders_that_are_links(cfg, copy, tmp_path):
    """mmpretrain and mmseg follow them."""
    classes = sorted(CLASSES) if cfg is folders else ('background', *CLASSES)
    made = cfg(copy, pipeline=[], metainfo={'classes': classes})
    made.pop('ann_file', None)  # all that lies there
    before = built(made)
    places = [copy / 'imagefolder/train/star']
    if cfg is seg:
        # Both, images and masks, below a folder that lies elsewhere.
        places = [copy / made['data_prefix'][key] for key in ('img_path', 'seg_map_path')]
    for place in places:
        elsewhere = tmp_path / 'disk' / place.name
        elsewhere.parent.mkdir(exist_ok=True)
        place.rename(elsewhere)
        place.mkdir()
        (place / 'more').symlink_to(elsewhere)
        for listed in elsewhere.glob('classes.txt'):
            listed.rename(place / 'classes.txt')
    images = places[0] / 'more'
    assert len(built(made)) == len(before)
    check_annotations(made)
    sorted(images.glob('*.jpg'))[0].write_bytes(b'no image')
    left, said = leave_out(made, None, 'train', tmp_path / 'out')
    assert f'1 of {len(before)} images are bad' in said
    assert len(built(left)) == len(before) - 1


def test_several_labels(copy, tmp_path):
    content = {
        'metainfo': {'classes': list(CLASSES)},
        'data_list': [
            {'img_path': 'train_00000.jpg', 'gt_label': [0, 3]},
            {'img_path': 'train_00001.jpg', 'gt_label': [6]},
        ],
    }
    (copy / 'labels.json').write_text(json.dumps(content))
    cfg = dict(
        type='mmpretrain.MultiLabelDataset', data_root=str(copy), ann_file='labels.json',
        data_prefix='JPEGImages', pipeline=[], metainfo={'classes': CLASSES},
    )  # fmt: skip
    left, said = leave_out(cfg, None, 'train', tmp_path / 'out')
    assert '1 of 2 images' in said
    assert [one['gt_label'] for one in built(left)] == [[0, 3]]


def test_depth(tmp_path):
    root = write_rooms(tmp_path / 'rooms', 6, 2)
    cfg = dict(
        type='mmseg.NYUDataset', data_root=str(root), pipeline=[],
        data_prefix=dict(img_path='images/train', depth_map_path='annotations/train'),
    )  # fmt: skip
    assert inspect(cfg).faults == []
    before = built(cfg)
    maps = sorted((root / 'annotations/train').iterdir())
    maps[0].unlink()
    Image.new('I;16', (7, 5)).save(maps[1])
    Image.fromarray(np.zeros_like(np.asarray(Image.open(maps[2])))).save(maps[2])
    found = inspect(cfg).faults
    assert len(found) == 4
    assert 'is missing' in found[0] and 'has 7 x 5 pixels, not ' in found[1]
    assert 'room_00002.png has no measured pixel' in found[3]
    left, said = leave_out(cfg, None, 'train', tmp_path / 'out')
    assert '3 of 6 images' in said
    names = [[Path(one[key]).name for key in ('img_path', 'depth_map_path')] for one in before[3:]]
    kept = [[Path(one[key]).name for key in ('img_path', 'depth_map_path')] for one in built(left)]
    assert kept == names
    assert np.asarray(Image.open(built(left)[0]['depth_map_path'])).any()


def test_it_is_read_once_and_again_when_something_is_mended(copy, tmp_path, monkeypatch):
    from vitmm.datasets import leave_out as module

    calls = []
    real = module.look_at_all
    monkeypatch.setattr(module, 'look_at_all', lambda *a: calls.append(1) or real(*a))
    path = copy / 'JPEGImages/train_00001.jpg'
    whole = path.read_bytes()
    path.write_bytes(b'no image')
    said = [leave_out(coco(copy, **FILLED), None, 'train', tmp_path)[1] for _ in range(2)]
    assert said[0] == said[1] and '1 of 8 images' in said[0] and len(calls) == 1
    path.write_bytes(whole)
    left, said = leave_out(coco(copy, **FILLED), None, 'train', tmp_path)
    assert '0 of 8 images' in said and len(calls) == 2
    assert left == coco(copy, **FILLED)  # nothing is bad: the files are used as they are
    monkeypatch.setattr(module, '_RULES', 0)  # what an older version has found is found anew
    leave_out(coco(copy, **FILLED), None, 'train', tmp_path)
    assert len(calls) == 3


def test_nothing_left_and_nothing_known(copy, tmp_path):
    for path in (copy / 'JPEGImages').glob('*.jpg'):
        path.write_bytes(b'no image')
    with pytest.raises(DataError, match=r'train: every image is bad; the first: .*\.jpg'):
        leave_out(coco(copy, **FILLED), None, 'train', tmp_path / 'out')
    assert not list((tmp_path / 'out').glob('train-*'))
    cifar = {'type': 'mmpretrain.CIFAR10', 'data_root': str(copy)}
    with pytest.raises(DataError, match='can be checked'):
        leave_out(cifar, None, 'train', tmp_path / 'out')


def test_the_file_is_parsed_once_and_not_kept_beside_the_one_that_stands_for_it(
    copy, tmp_path, monkeypatch
):
    path = copy / 'coco/instances_train.json'
    edit(path, lambda content: content['annotations'][0].update(bbox=[3, 3, 0, 10]))
    parsed, parse = [], json_files.read_json
    monkeypatch.setattr(json_files, 'read_json', lambda file: parsed.append(file) or parse(file))
    for _ in range(2):  # the second finds the lists there
        parsed.clear()
        coco_file._read_coco.cache_clear()
        with collector.starting():
            left, _ = leave_out(coco(copy, **FILLED), None, 'train', tmp_path / 'out')
            assert left['ann_file'] != str(path)
            assert list(map(str, parsed)) == [str(path)]
            assert not json_files._kept
            check_annotations(left, boxes=False)
            assert [key[0] for key in json_files._kept] == [left['ann_file']]
