"""A whole data set is read, and everything bad in it named."""

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from shapes_configs import coco, edit, folders, seg, voc
from support import CONFIGS, as_cfg_options, fork_tool

from vitmm.datasets.draw import CLASSES
from vitmm.datasets.inspection import inspect
from vitmm.datasets.listing import notes_of_unread


def faults(cfg):
    return inspect(cfg).faults


@pytest.mark.parametrize('cfg', [coco, voc, seg, folders])
def test_a_whole_set_has_no_faults_and_is_counted(cfg, shapes):
    report = inspect(cfg(shapes))
    assert report.faults == [] and 'bad' not in str(report)
    count = 12 if cfg is folders else 8
    assert report.images == count == report.sizes.total()
    content = json.loads((shapes / 'coco/instances_train.json').read_text())
    if cfg is seg:
        masks = (shapes / 'SegmentationClass').glob('train_*.png')
        listed = (shapes / 'ImageSets/Segmentation/train.txt').read_text().split()
        pixels = Counter()
        for path in masks:
            if path.stem in listed:
                pixels.update(np.asarray(Image.open(path)).ravel().tolist())
        named = ('background', *CLASSES)
        assert report.classes == {named[v]: n for v, n in pixels.items() if v != 255}
    elif cfg is not folders:
        found = Counter(CLASSES[a['category_id'] - 1] for a in content['annotations'])
        assert +report.classes == found
        sizes = Counter((image['width'], image['height']) for image in content['images'])
        assert report.sizes == sizes


def test_what_a_training_would_refuse(shapes):
    learns_masks = {'pipeline': [{'type': 'mmdet.LoadAnnotations', 'with_mask': True}]}
    (fault,) = faults(voc(shapes, **learns_masks))
    assert 'have boxes only' in fault
    assert faults(coco(shapes, **learns_masks)) == []


@pytest.mark.parametrize('cfg', [coco, voc, seg])
def test_images(cfg, copy):
    whole = (copy / 'JPEGImages/train_00001.jpg').read_bytes()
    (copy / 'JPEGImages/train_00001.jpg').write_bytes(whole[: len(whole) // 2])
    (copy / 'JPEGImages/train_00002.jpg').write_bytes(b'no image')
    (copy / 'JPEGImages/train_00003.jpg').unlink()
    Image.new('RGB', (500, 31)).save(copy / 'JPEGImages/train_00004.jpg')
    (copy / 'JPEGImages/train_00005.jpg').write_bytes(b'')
    found = faults(cfg(copy))
    for number, words in (
        (1, 'truncated'),
        (2, 'does not decode'),
        (3, 'missing'),
        (5, 'does not decode (it is empty)'),
    ):
        (line,) = [f for f in found if f'train_0000{number}.jpg: ' in f]
        assert words in line
    assert any('train_00004.jpg' in f and '500 x 31' in f for f in found)
    others = [f for f in found if 'train_0000' not in f]
    assert others == []


def test_large_images_are_no_fault(shapes, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)  # Pillow refuses twice as many
    assert faults(coco(shapes)) == []


def test_coco_boxes(copy):
    ids = {}

    def spoil(content):
        first = content['images'][0]
        own = [a for a in content['annotations'] if a['image_id'] == first['id']]
        others = [a for a in content['annotations'] if a['image_id'] != first['id']]
        own[0]['bbox'] = [-5, 0, 10, 10]
        others[0]['bbox'] = [3, 3, 0, 10]
        others[1]['category_id'] = 9
        others[2]['image_id'] = 'nobody'
        ids.update(out=own[0]['id'], flat=others[0]['id'], kind=others[1]['id'])
        ids.update(stray=others[2]['id'], image=first['file_name'])

    edit(copy / 'coco/instances_train.json', spoil)
    found = faults(coco(copy))
    assert len(found) == 4
    (out,) = [f for f in found if f'box {ids["out"]} (-5, 0, 5, 10) reaches out of the image' in f]
    assert ids['image'] in out
    assert any(f'box {ids["flat"]} (3, 3, 3, 13) has no area' in f for f in found)
    assert any(f'box {ids["kind"]} has the category_id 9; there are 1 to 6' in f for f in found)
    assert any(f'box {ids["stray"]} is of image nobody' in f for f in found)


def test_voc_boxes(copy):
    path = copy / 'Annotations/train_00000.xml'
    tree = ElementTree.parse(path)
    box = tree.find('object/bndbox')
    box.find('xmax').text = '9999'
    size = tree.find('size')
    size.find('width').text = '7'
    tree.write(path)
    (copy / 'Annotations/train_00001.xml').write_text('<annotation>')
    second = copy / 'Annotations/train_00002.xml'
    second.write_text(second.read_text().replace('<name>', '<name>x', 1))
    found = faults(voc(copy))
    assert len(found) == 4
    assert any('box 1 (' in f and 'reaches out' in f and 'train_00000.xml' in f for f in found)
    assert any('but 7 x ' in f and 'train_00000.jpg' in f for f in found)
    assert any('train_00001.xml is not readable XML' in f for f in found)
    assert any('train_00002.xml: no such class' in f for f in found)


def test_masks(copy):
    def change(number, function):
        path = copy / f'SegmentationClass/train_0000{number}.png'
        mask = np.asarray(Image.open(path)).copy()
        Image.fromarray(function(mask)).save(path)

    def mark(mask):
        mask[:2, :3] = 77
        return mask

    change(0, mark)
    change(1, lambda mask: mask[:-1])
    change(2, lambda mask: np.stack([mask] * 3, 2))
    (copy / 'SegmentationClass/train_00003.png').unlink()
    (copy / 'SegmentationClass/train_00004.png').write_bytes(b'no mask')
    found = faults(seg(copy))
    assert len(found) == 5
    for number, words in enumerate((
        'has the value 77 (6 pixels); there are 0 to 6, and 255',
        'pixels, not ',
        'has 3 channels',
        'is missing',
        'does not decode',
    )):  # fmt: skip
        assert any(words in f and f'train_0000{number}.png' in f for f in found)
    (copy / 'JPEGImages/train_00005.jpg').unlink()
    (line,) = [f for f in faults(seg(copy, ann_file='')) if 'without an image' in f]
    assert 'SegmentationClass/train_00005.png' in line
    # Counted from 1, the six of the mask are the background and five others.
    (copy / 'SegmentationClass/classes.txt').write_text('\n'.join(CLASSES[:5]))
    from_one = faults(seg(copy, reduce_zero_label=True))
    assert any('there are 1 to 5, and 255' in f for f in from_one)


def test_class_folders_and_lists(copy):
    for path in (copy / 'imagefolder/train/ring').iterdir():
        path.unlink()
    assert not faults(folders(copy))  # as training takes it; a note says so
    (path,) = sorted((copy / 'imagefolder/train/star').glob('*.jpg'))[:1]
    (copy / 'imagefolder/list.txt').write_text(f'star/{path.name} 1\nstar/{path.name} 7\n')
    listed = folders(copy, ann_file='list.txt', metainfo={'classes': ['a', 'b', 'c']})
    (line,) = faults(listed)
    assert line.endswith('label 7; there are 0 to 2') and path.name in line
    (copy / 'imagefolder/list.txt').write_text('image,label\n')
    assert faults(listed)[0].endswith(
        "label 'image,label': a line is 'cats/1.jpg 0', path and class number"
    )


def test_what_cannot_be_read_at_all(copy):
    (copy / 'ImageSets/Main/train.txt').write_text('')
    assert faults(voc(copy)) == ['the split is empty: no image']
    assert 'not found' in faults(seg(copy, ann_file='nothing.txt'))[0]
    cifar = {'type': 'mmpretrain.CIFAR10', 'data_root': str(copy)}
    assert 'can be checked' in faults(cifar)[0]


def test_the_tool(tiny_shapes, copy):
    options = {
        'data_root': str(tiny_shapes),
        'train_ann': 'coco/instances_train.json',
        'train_images': 'JPEGImages/',
        'val_ann': str(copy / 'coco/instances_train.json'),
        'val_images': 'JPEGImages/',
    }
    edit(
        copy / 'coco/instances_train.json', lambda c: c['annotations'][0].update(bbox=[1, 1, 0, 0])
    )
    recipe = CONFIGS / 'det' / 'vit_retinanet.py'
    words = ('check', recipe, '--data=coco', '--cfg-options', *as_cfg_options(options))
    done = fork_tool('prepare_data.py', *words)
    assert done.returncode == 1
    assert 'train: 12 images, 0 faults' in done.stdout and 'has no area' in done.stdout
    assert '100%' in done.stderr
    good = as_cfg_options({**options, 'val_ann': 'coco/instances_val.json'})
    done = fork_tool('prepare_data.py', *words[:4], *good)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mask_where_all_is_ignored(copy):
    path = copy / 'SegmentationClass/train_00003.png'
    mask = np.full_like(np.asarray(Image.open(path)), 255)
    Image.fromarray(mask).save(path)
    (fault,) = faults(seg(copy))
    assert 'train_00003.png has no pixel of a class: all are 255, which is ignored' in fault


def test_files_that_macos_leaves_beside_images(copy):
    (copy / 'JPEGImages/._train_00000.jpg').write_bytes(b'no image')
    (copy / 'SegmentationClass/._train_00000.png').write_bytes(b'no mask')
    assert faults(seg(copy, ann_file='')) == []


def test_images_of_other_kinds_are_told_of(copy):
    images = copy / 'JPEGImages'
    (images / 'train_00000.jpg').rename(images / 'train_00000.JPG')
    report = inspect(seg(copy, ann_file=''))
    (fault,) = report.faults
    assert 'train_00000.png: a mask without an image: ' in fault
    assert "train_00000.JPG is not read, for image_suffix is '.jpg'" in fault
    (note,) = report.notes
    assert note == f'not read in {images}: files of other kinds, 1 .JPG; images end in .jpg'
    (images / 'notes.txt').touch()
    assert notes_of_unread(seg(copy, ann_file='')) == [note]  # as a training says
    (images / 'notes.txt').unlink()
    for name in ('a.gif', 'b.gif', 'c.JPG'):
        (copy / 'imagefolder/train/star' / name).write_bytes(b'GIF89a')
    report = inspect(folders(copy))
    (note,) = report.notes
    assert 'files of other kinds, 2 .gif; images end in .jpg, ' in note
    assert not inspect(seg(copy)).notes  # a list says what is read
    for path in (copy / 'SegmentationClass').glob('*.png'):
        path.rename(images / path.name)
    one_folder = {'img_path': 'JPEGImages', 'seg_map_path': 'JPEGImages'}
    (note,) = inspect(seg(copy, ann_file='', data_prefix=one_folder)).notes
    assert 'kinds, 1 .JPG, 1 .png;' in note  # the mask of the image that is not read
