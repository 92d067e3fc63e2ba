import json

import pytest

from vitmm.datasets import DataError, check_annotations, read_classes

CLASSES = ('cat', 'dog')


def write(root, images, classes=CLASSES):
    (root / 'images').mkdir(exist_ok=True)
    for path, _ in images:
        (root / 'images' / path).touch()
    entries = [{'img_path': path, 'gt_label': labels} for path, labels in images]
    content = {'metainfo': {'classes': list(classes)} if classes else {}, 'data_list': entries}
    (root / 'train.json').write_text(json.dumps(content))
    return config(root)


def config(root, **options):
    return {
        'type': 'mmpretrain.MultiLabelDataset',
        'data_root': str(root),
        'ann_file': 'train.json',
        'data_prefix': 'images',
        **options,
    }


def test_classes_and_files(tmp_path):
    cfg = write(tmp_path, [('a.jpg', [0, 1]), ('b.jpg', [])])
    assert read_classes(cfg) == CLASSES
    check_annotations(cfg)
    check_annotations({**cfg, 'metainfo': {'classes': list(CLASSES)}})
    with pytest.raises(DataError, match=r"must be these, not \('dog', 'cat'"):
        check_annotations({**cfg, 'metainfo': {'classes': ['dog', 'cat']}})
    (tmp_path / 'images/b.jpg').unlink()
    with pytest.raises(DataError, match=r'1 of the 2 images .*b\.jpg'):
        check_annotations(cfg)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('{', 'not readable JSON'),
        ('[]', 'an object with metainfo and data_list'),
        ('{"metainfo": {}, "data_list": [{"img_path": "a.jpg"}]}', "no 'gt_label'"),
        ('{"metainfo": {}, "data_list": [{"img_path": "a.jpg", "gt_label": 1}]}', 'whole numbers'),
        ('{"metainfo": {}, "data_list": []}', 'data_list is empty'),
    ],
)
def test_bad_files(text, words, tmp_path):
    (tmp_path / 'train.json').write_text(text)
    with pytest.raises(DataError, match=words):
        check_annotations(config(tmp_path))


def test_a_label_out_of_range_names_the_image(tmp_path):
    cfg = write(tmp_path, [('a.jpg', [0]), ('b.jpg', [2])])
    with pytest.raises(DataError, match=r'b\.jpg has the label 2, but there are 2 classes'):
        check_annotations(cfg)


def test_nothing_says_the_classes(tmp_path):
    with pytest.raises(DataError, match='nothing says what its classes are'):
        read_classes(write(tmp_path, [('a.jpg', [0])], classes=None))


def test_mmpretrains_voc_is_no_such_file():
    voc = {'type': 'mmpretrain.VOC', 'data_root': '/nowhere', 'split': 'trainval'}
    assert len(read_classes(voc)) == 20
