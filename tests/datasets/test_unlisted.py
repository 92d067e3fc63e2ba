"""Data with classes of its own, and a config that lists none: mmdet looks for COCO's or VOC's."""

import json
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset, VOCDataset
from PIL import Image
from support import CONFIGS

from vitmm.apis.train import train
from vitmm.datasets.unlisted import unlisted_classes
from vitmm.errors import ConfigError


@pytest.fixture
def dataset(tmp_path):
    """A function: the config of a data set with categories of these names."""

    def write(*names):
        categories = [dict(id=n, name=name) for n, name in enumerate(names, 1)]
        images = [dict(id=1, file_name='a.png', width=8, height=8)]
        boxes = [
            dict(id=n, image_id=1, category_id=n, bbox=[1, 1, 4, 4], area=16, iscrowd=0)
            for n in range(1, len(names) + 1)
        ]
        content = dict(images=images, annotations=boxes, categories=categories)
        (tmp_path / 'a.json').write_text(json.dumps(content))
        return dict(
            type='CocoDataset', data_root=str(tmp_path), ann_file='a.json', data_prefix=dict(img='')
        )

    return write


def test_what_mmdet_leaves_out_is_told(dataset):
    config = dataset('cat', 'robot')
    loaded = CocoDataset(**{k: v for k, v in config.items() if k != 'type'}, pipeline=[])
    assert len(loaded.get_data_info(0)['instances']) == 1  # of two, without a word
    said = unlisted_classes(dict(type='RepeatDataset', times=2, dataset=config), 'mmdet')
    assert "its classes are 'cat', 'robot'" in said and "leave 'robot' out" in said


def test_what_somebody_chose_is_not(dataset):
    config = dataset('cat', 'robot')
    for classes in (('cat',), '${data.classes}'):
        chosen = {**config, 'metainfo': dict(classes=classes)}
        assert (unlisted_classes(chosen, 'mmdet') is None) is isinstance(classes, tuple)

    class Cats(CocoDataset):
        METAINFO = dict(classes=('cat',))

    assert unlisted_classes({**config, 'type': Cats}, 'mmdet') is None
    assert unlisted_classes(dataset('dog', 'cat'), 'mmdet') is None
    assert unlisted_classes({**config, 'ann_file': 'nowhere.json'}, 'mmdet') is None


@pytest.fixture
def voc(tmp_path):
    """A function: the config of a VOC image set with one object of each of these names."""

    def write(*names):
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8)).save(tmp_path / 'JPEGImages/a.jpg')
        things = ''.join(
            f'<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>1</xmin>'
            '<ymin>1</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></object>'
            for name in names
        )
        (tmp_path / 'Annotations/a.xml').write_text(
            f'<annotation><size><width>8</width><height>8</height></size>{things}</annotation>'
        )
        (tmp_path / 'ImageSets/Main/train.txt').write_text('a\n')
        return dict(
            type='VOCDataset',
            data_root=str(tmp_path),
            ann_file='ImageSets/Main/train.txt',
            data_prefix=dict(sub_data_root=''),
        )

    return write


def test_so_is_what_mmdet_leaves_out_of_voc(voc):
    config = voc('cat', 'robot')
    loaded = VOCDataset(**{k: v for k, v in config.items() if k != 'type'}, pipeline=[])
    assert len(loaded.get_data_info(0)['instances']) == 1  # of two, without a word
    said = unlisted_classes(config, 'mmdet')
    assert "its classes are 'cat', 'robot'" in said and "VOC's 20 and leave 'robot' out" in said
    assert unlisted_classes({**config, 'metainfo': dict(classes=('cat',))}, 'mmdet') is None
    assert unlisted_classes(voc('cat', 'dog'), 'mmdet') is None
    root = Path(voc('robot')['data_root'])
    (root / 'ImageSets/Main/train.txt').write_text('broken\na\n')
    (root / 'Annotations/broken.xml').write_text('<anno')  # told elsewhere, and hides no other
    assert "leave 'robot' out" in unlisted_classes(config, 'mmdet')
    (root / 'Annotations/a.xml').write_text('<anno')
    assert unlisted_classes(config, 'mmdet') is None


def test_a_training_stops_before_it_begins(tiny_options, tmp_path):
    options = {**tiny_options, 'image_scale': (64, 64), 'model.backbone.model_name': 'test_resnet'}
    without = {'train_dataloader.dataset.metainfo': {'_delete_': True}}
    with pytest.raises(ConfigError, match=r"'circle', .* leave 'circle', .* out: write metainfo="):
        train(CONFIGS / 'det/vit_retinanet.py', work_dir=tmp_path / 'w', options=options | without)
    assert not (tmp_path / 'w').exists()
