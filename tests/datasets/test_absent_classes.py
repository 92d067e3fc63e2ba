"""Classes that nothing shows are named, and masks of 0 and 255 told from others."""

import re

import numpy as np
from PIL import Image
from shapes_configs import coco, edit, folders, seg
from support import CONFIGS, ROOT

from vitmm.apis.check_data import check_data
from vitmm.apis.train import train
from vitmm.datasets.absent_classes import note_of_absent, note_of_few_values, note_of_unlearned
from vitmm.datasets.inspection import inspect


def absent(cfg):
    return note_of_absent(inspect(cfg), cfg)


def binary(root):
    """The masks' background is 0, and all else 255."""
    for path in (root / 'SegmentationClass').glob('*.png'):
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.where(mask == 0, 0, 255).astype(np.uint8)).save(path)
    (root / 'SegmentationClass/classes.txt').write_text('ground\nthing\n')
    return seg(root)


def test_masks_of_0_and_255(copy):
    cfg = binary(copy)
    words = (
        r"no pixel of 'thing' in any of the 8 masks(.*), and 255, which is ignored, in 8 of them"
    )
    assert re.match(words, absent(cfg))[1] == ''
    assert re.match(words, note_of_few_values(cfg))[1] == ' looked at'
    (code,) = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/data.md').read_text(), re.DOTALL)
    exec(code.replace('mine/annotations', str(copy)))
    assert absent(cfg) is note_of_few_values(cfg) is None
    report = inspect(cfg)
    assert report.classes['thing'] > 0 and not report.ignoring and not report.faults


def test_what_is_as_it_should_be(shapes):
    assert note_of_few_values(seg(shapes)) is note_of_few_values(coco(shapes)) is None
    assert absent(seg(shapes)) is absent(coco(shapes)) is None
    assert absent(folders(shapes)) is absent(folders(shapes, with_label=False)) is None


def test_classes_that_only_validation_has(shapes, copy):
    def loaders(classes):
        train, val = coco(shapes, metainfo={'classes': classes}), coco(copy)
        return {'train_dataloader': {'dataset': train}, 'val_dataloader': {'dataset': val}}

    assert note_of_unlearned(loaders(['circle'])) is None  # left out on purpose, of both
    edit(
        copy / 'coco/instances_train.json',
        lambda c: c['categories'].append({'id': 9, 'name': 'hoop'}),
    )
    assert note_of_unlearned(loaders(['circle'])).startswith("val_dataloader: 'hoop' among the c")
    assert note_of_unlearned({'train_dataloader': {'dataset': coco(copy)}}) is None
    gone = loaders([]) | {'train_dataloader': {'dataset': coco(copy, ann_file='nowhere.json')}}
    assert note_of_unlearned(gone) is None
    masks = loaders([]) | {'train_dataloader': {'dataset': seg(shapes)}}
    assert note_of_unlearned(masks) is None


def test_a_class_without_boxes_or_images(copy):
    number = {'id': 9, 'name': 'hoop'}
    edit(copy / 'coco/instances_train.json', lambda c: c['categories'].append(number))
    assert absent(coco(copy)) == "no box of 'hoop'"
    (copy / 'imagefolder/train/hoop').mkdir()
    assert absent(folders(copy)) == "no image of 'hoop'"


def test_the_check_and_the_start_of_a_training_say_it(copy, tiny_options, tmp_path):
    binary(copy)
    names = {'train_images': 'JPEGImages', 'train_masks': 'SegmentationClass'}
    names |= {'val_images': 'JPEGImages', 'val_masks': 'SegmentationClass'}
    options = {**names, **tiny_options, 'data_root': str(copy), 'image_scale': (96, 96)}
    options |= {'crop_size': (96, 96), 'model.decode_head.channels': 8}
    recipe = CONFIGS / 'seg/vit_fcn.py'
    options.pop('prepare_data', None)
    report, _ = check_data(recipe, 'folder', options)
    assert "note: no pixel of 'thing' in any of the 12 masks, and 255" in str(report)
    train(recipe, data='folder', work_dir=tmp_path / 'runs/a', options=options)
    (log,) = (tmp_path / 'runs/a').glob('*/*.log')
    assert "no pixel of 'thing' in any of the 12 masks looked at, and 255" in log.read_text()
