import json
import re
import shutil

import pytest
from mmengine.registry import DATASETS
from shapes_configs import coco, folders, seg, voc

from vitmm.datasets import DataError, check_annotations
from vitmm.datasets.draw import CLASSES
from vitmm.datasets.filtered import notes_of_filtered
from vitmm.datasets.inspection import inspect
from vitmm.datasets.leave_out import leave_out

ALL = [coco, voc, seg, folders]


@pytest.fixture
def copy(shapes, tmp_path):
    """A copy of the set that a test may break."""
    return shutil.copytree(shapes, tmp_path / 'copy')


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize('cfg', ALL)
def test_a_whole_set_passes(cfg, shapes):
    check_annotations(cfg(shapes))
    check_annotations({'type': 'RepeatDataset', 'times': 2, 'dataset': cfg(shapes)})


@pytest.mark.parametrize('cfg', ALL)
def test_no_data_root(cfg, tmp_path):
    with pytest.raises(DataError, match='not found'):
        check_annotations(cfg(tmp_path / 'nowhere'))


@pytest.mark.parametrize('cfg', [coco, voc, seg])
def test_an_image_that_is_not_there(cfg, copy):
    (copy / 'JPEGImages/train_00002.jpg').unlink()
    with pytest.raises(DataError, match=r'1 of the 8 images .*train_00002\.jpg'):
        check_annotations(cfg(copy))


@pytest.mark.parametrize('cfg', [coco, voc, seg])
def test_no_annotation_file(cfg, copy):
    with pytest.raises(DataError, match='not found'):
        check_annotations(cfg(copy, ann_file='other.txt'))


def test_coco_without_boxes_in_training_and_in_tests(copy):
    edit(copy / 'coco/instances_train.json', annotations=[])
    for test_mode in (False, True):
        with pytest.raises(DataError, match=r'instances_train\.json has no boxes'):
            check_annotations(coco(copy, test_mode=test_mode))


def test_coco_boxes_of_no_category(copy):
    path = copy / 'coco/instances_train.json'
    annotations = json.loads(path.read_text())['annotations']
    annotations[3]['category_id'] = 0
    edit(path, annotations=annotations)
    with pytest.raises(DataError, match='category_id 0, but the categories are numbered 1 to 6'):
        check_annotations(coco(copy))


@pytest.mark.parametrize(
    ('kind', 'key', 'value', 'words'),
    [
        ('annotations', 'id', None, 'annotation number 3 has no id'),
        ('annotations', 'id', 1, 'two annotations have the id 1'),
        ('annotations', 'area', None, 'annotation 4 has no area'),
        ('images', 'width', None, r'train_00003\.jpg has no width'),
        ('annotations', 'category_id', '2', "category_id '2', but"),
    ],
)
def test_coco_files_that_mmdet_cannot_read(kind, key, value, words, copy):
    path = copy / 'coco/instances_train.json'
    content = json.loads(path.read_text())
    one = content[kind][3]
    one[key] = value
    if value is None:
        del one[key]
    edit(path, **content)
    with pytest.raises(DataError, match=words):
        check_annotations(coco(copy))
    report = inspect(coco(copy))
    assert re.search(words.removesuffix(', but'), '\n'.join(report.faults))


def test_coco_boxes_in_shares_of_the_image(copy):
    path = copy / 'coco/instances_train.json'
    annotations = json.loads(path.read_text())['annotations']
    annotations[0]['bbox'] = [4, 5, 0.7, 8]  # one alone is left out, as mmdet does
    edit(path, annotations=annotations)
    check_annotations(coco(copy))
    (fault,) = inspect(coco(copy)).faults
    assert 'box 1 (4, 5, 4.7, 13) is smaller than a pixel: it is left out' in fault
    for one in annotations:
        one['bbox'] = [side / 1000 for side in one['bbox']]
    edit(path, annotations=annotations)
    with pytest.raises(DataError, match=r'smaller than a pixel.*not in shares of the image'):
        check_annotations(coco(copy))
    assert len(inspect(coco(copy)).faults) == len(annotations)


@pytest.mark.parametrize('line, words', [('\n', 'is empty'), (' train_00000\n', 'spaces')])
def test_voc_lists_with_odd_lines(line, words, copy, tmp_path):
    path = copy / voc(copy)['ann_file']
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(''.join([*lines[:2], line, *lines[2:]]))
    with pytest.raises(DataError, match=f'line 3 .*{words}'):
        check_annotations(voc(copy))
    assert any(f'line 3 {"is empty" if line.isspace() else "has spaces"}' in fault
               for fault in inspect(voc(copy)).faults)  # fmt: skip
    left, _ = leave_out(voc(copy, metainfo={'classes': CLASSES}), None, 'train', tmp_path / 'out')
    check_annotations(left)


def test_coco_classes_that_training_had_and_validation_has_not(copy):
    filled = coco(copy, metainfo={'classes': list(CLASSES)})
    check_annotations(filled)
    ids = [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)]
    edit(copy / 'coco/instances_train.json', categories=[*ids[:-1], {'id': 6, 'name': 'hoop'}])
    with pytest.raises(DataError, match=r"have 'ring', but .* no such class\."):
        check_annotations(filled)
    edit(copy / 'coco/instances_train.json', categories=ids[::-1])
    with pytest.raises(DataError, match='follow the order'):
        check_annotations(filled)


def test_voc_xml(copy):
    (copy / 'Annotations/train_00003.xml').write_text('<annotation><obj')
    with pytest.raises(DataError, match=r'train_00003\.xml is not readable XML'):
        check_annotations(voc(copy))
    (copy / 'Annotations/train_00003.xml').unlink()
    with pytest.raises(DataError, match=r'1 of the 8 annotation files .*train_00003\.xml'):
        check_annotations(voc(copy))
    for path in (copy / 'Annotations').iterdir():
        path.write_text('<annotation></annotation>')
    (copy / 'Annotations/train_00003.xml').write_text('<annotation></annotation>')
    with pytest.raises(DataError, match='no box in any of its 8'):
        check_annotations(voc(copy))


def test_voc_images_of_another_suffix(copy):
    for path in (copy / 'JPEGImages').glob('train_*.jpg'):
        path.rename(path.with_suffix('.JPG'))
    with pytest.raises(
        DataError, match=r"0.JPG is there, and mmdet's VOC data sets read .jpg only"
    ):
        check_annotations(voc(copy))


def test_voc_with_none_of_the_classes_that_the_config_names(shapes):
    with pytest.raises(DataError, match="'aeroplane'"):
        check_annotations(voc(shapes, metainfo={'classes': ('aeroplane', 'boat')}))


@pytest.mark.parametrize('make', [coco, voc])
def test_images_with_a_short_side(make, copy):
    cfg = make(copy, filter_cfg=dict(filter_empty_gt=True, min_size=10**4))
    with pytest.raises(DataError, match=r'all of its \d+ images have a side below 10000 pixels'):
        check_annotations(cfg)
    check_annotations({**cfg, 'test_mode': True})
    report = inspect({**cfg, 'test_mode': True})
    sizes = sorted(size for size, count in report.sizes.items() for _ in range(count))
    least = sorted(map(min, sizes))[1] + 1  # above the two smallest, at least
    cfg = make(copy, filter_cfg=dict(min_size=least))
    count = sum(min(size) < least for size in sizes)
    assert 2 <= count < len(sizes)
    check_annotations(cfg)
    told = f'{count} of {len(sizes)} images have a side below {least} pixels and will be left out'
    assert told in str(inspect(cfg))
    if make is coco:
        assert [note.partition(':')[0] for note in notes_of_filtered(cfg)] == [told]
        assert len(DATASETS.build(cfg)) == len(sizes) - count


def test_an_empty_list(copy):
    for cfg in (voc, seg):
        path = copy / cfg(copy)['ann_file']
        path.write_text('\n')
        with pytest.raises(DataError, match='is empty'):
            check_annotations(cfg(copy))


def test_masks(copy):
    (copy / 'SegmentationClass/train_00001.png').unlink()
    with pytest.raises(DataError, match=r'1 of the 8 masks .*train_00001\.png'):
        check_annotations(seg(copy))
    without_list = seg(copy, ann_file='')  # then the images are those in the folder
    with pytest.raises(DataError, match=r'1 of the 12 masks'):
        check_annotations(without_list)
    with pytest.raises(DataError, match='no image'):
        check_annotations({**without_list, 'img_suffix': '.bmp'})


def test_suffixes_that_the_class_sets_itself(copy):
    with pytest.raises(DataError, match=r'train_00000_leftImg8bit\.png'):
        check_annotations(seg(copy, type='mmseg.CityscapesDataset'))


def test_an_image_folder_without_images(copy):
    for path in (copy / 'imagefolder/train').rglob('*.jpg'):
        path.rename(path.with_suffix('.txt'))
    with pytest.raises(DataError, match='no images'):
        check_annotations(folders(copy))


def test_validation_folders_that_are_not_those_of_training(copy):
    filled = folders(copy, metainfo={'classes': sorted(CLASSES)})
    check_annotations(filled)
    (copy / 'imagefolder/train/ring').rename(copy / 'imagefolder/train/hoop')
    with pytest.raises(DataError, match=r"class folders lack 'ring' and have 'hoop', and the clas"):
        check_annotations(filled)
    (copy / 'imagefolder/train/hoop').rename(copy / 'imagefolder/train/ring')
    (copy / 'imagefolder/train/zebra').mkdir()
    with pytest.raises(DataError, match=r"class folders have 'zebra', and .* has the same$"):
        check_annotations(filled)
    (copy / 'imagefolder/train/zebra').rmdir()
    for path in (copy / 'imagefolder/train/ring').iterdir():
        path.unlink()
    check_annotations(filled)  # an empty one holds the place


def test_a_list_of_images(copy):
    (copy / 'imagefolder/list.txt').write_text('star/nothing.jpg 3\n')
    with pytest.raises(DataError, match=r'star/nothing\.jpg'):
        check_annotations(folders(copy, ann_file='list.txt'))


def test_what_cannot_be_looked_at_passes():
    check_annotations(coco('s3://bucket/data'))
    check_annotations(coco('data', backend_args={'backend': 'petrel'}))
    check_annotations({'type': 'mmpretrain.CIFAR10', 'data_root': 'data/cifar'})


def wanting_masks(cfg):
    return {**cfg, 'pipeline': [{'type': 'mmdet.LoadAnnotations', 'with_mask': True}]}


def test_masks_where_the_model_wants_them(copy):
    check_annotations(wanting_masks(coco(copy)))
    path = copy / 'coco/instances_train.json'
    annotations = json.loads(path.read_text())['annotations']
    del annotations[1]['segmentation']
    edit(path, annotations=annotations)
    check_annotations(coco(copy))
    with pytest.raises(DataError, match=rf'1 of its {len(annotations)} annotations have no segm'):
        check_annotations(wanting_masks(coco(copy)))
    with pytest.raises(DataError, match='boxes only'):
        check_annotations(wanting_masks(voc(copy)))
