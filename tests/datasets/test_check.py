import json
import shutil

import pytest
from shapes_configs import coco, folders, seg, voc

from vitmm.datasets import DataError, check_annotations
from vitmm.datasets.draw import CLASSES

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


def test_coco_classes_that_training_had_and_validation_has_not(copy):
    filled = coco(copy, metainfo={'classes': list(CLASSES)})
    check_annotations(filled)
    ids = [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)]
    edit(copy / 'coco/instances_train.json', categories=[*ids[:-1], {'id': 6, 'name': 'hoop'}])
    with pytest.raises(DataError, match="names 'ring'"):
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


def test_voc_with_none_of_the_classes_that_the_config_names(shapes):
    with pytest.raises(DataError, match="'aeroplane'"):
        check_annotations(voc(shapes, metainfo={'classes': ('aeroplane', 'boat')}))


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
    with pytest.raises(DataError, match=r"'ring'.* no such class"):
        check_annotations(filled)


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
