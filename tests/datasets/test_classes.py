import json
import shutil

import pytest
from shapes_configs import coco, edit, folders, seg, voc

from vitmm.datasets import DataError, read_classes
from vitmm.datasets.draw import CLASSES


@pytest.mark.parametrize('type', ['mmdet.CocoDataset', 'CocoDataset', 'mmdet.CityscapesDataset'])
def test_coco_in_the_order_of_the_file(shapes, type):
    assert read_classes(coco(shapes, type=type)) == CLASSES


def test_an_open_hole_is_no_answer(shapes):
    assert read_classes(coco(shapes, metainfo={'classes': '${data.classes}'})) == CLASSES


def test_voc_from_classes_txt_or_the_xml_files(shapes, tmp_path):
    assert read_classes(voc(shapes)) == CLASSES
    for name in ('Annotations', 'ImageSets'):
        shutil.copytree(shapes / name, tmp_path / name)
    assert read_classes(voc(tmp_path)) == tuple(sorted(CLASSES))


def test_voc_without_its_files_is_known_by_its_class(tmp_path):
    assert read_classes(voc(tmp_path, type='mmdet.VOCDataset'))[-1] == 'tvmonitor'
    with pytest.raises(DataError, match=r'train\.txt'):
        read_classes(voc(tmp_path))


def test_folders_in_the_order_of_their_labels(shapes):
    assert read_classes(folders(shapes)) == tuple(sorted(CLASSES))
    by_split = {'type': 'mmpretrain.ImageNet', 'data_root': str(shapes / 'imagefolder')}
    assert read_classes({**by_split, 'split': 'val'}) == tuple(sorted(CLASSES))


def test_a_labelled_list_of_images(tmp_path):
    (tmp_path / 'list.txt').write_text('a.jpg 0\nb c.jpg 2\n')
    cfg = {'type': 'CustomDataset', 'data_root': str(tmp_path), 'ann_file': 'list.txt'}
    assert read_classes(cfg) == ('0', '1', '2')
    (tmp_path / 'classes.txt').write_text('\ufeffcat\r\ndog\nowl\n')  # as editors on Windows do
    assert read_classes(cfg) == ('cat', 'dog', 'owl')
    (tmp_path / 'classes.txt').unlink()
    (tmp_path / 'list.txt').write_text('image,label\na.jpg,0\n')
    words = r"list\.txt: the line 'image,label' is not .*'cats/1\.jpg 0'"
    with pytest.raises(DataError, match=words):
        read_classes(cfg)


def test_a_class_that_is_listed_twice(shapes, tmp_path):
    (tmp_path / 'classes.txt').write_text('circle\nstar\ncircle\n')
    with pytest.raises(DataError, match=r"classes\.txt names 'circle' more than once"):
        read_classes(seg(tmp_path))


def test_segmentation_from_the_list_beside_the_masks(shapes):
    assert read_classes(seg(shapes)) == ('background', *CLASSES)


def test_segmentation_from_the_class_that_knows(tmp_path):
    assert len(read_classes(seg(tmp_path, type='mmseg.ADE20KDataset'))) == 150
    assert len(read_classes(seg(tmp_path, type='ADE20KDataset'), scope='mmseg')) == 150
    with pytest.raises(DataError, match=r'classes\.txt'):
        read_classes(seg(tmp_path))


def test_wrappers_are_taken_off(shapes):
    one = coco(shapes)
    repeated = {'type': 'RepeatDataset', 'times': 2, 'dataset': one}
    assert read_classes({'type': 'mmdet.MultiImageMixDataset', 'dataset': repeated}) == CLASSES
    assert read_classes({'type': 'ConcatDataset', 'datasets': [one, repeated]}) == CLASSES
    with pytest.raises(DataError, match='no data set inside'):
        read_classes({'type': 'ConcatDataset', 'datasets': []})
    with pytest.raises(DataError, match='different classes'):
        read_classes({'type': 'ConcatDataset', 'datasets': [one, folders(shapes)]})


def test_categories_of_one_name(copy):
    def change(content):
        for category, name in zip(content['categories'], 'xyx', strict=False):
            category['name'] = name

    edit(copy / 'coco/instances_train.json', change)
    with pytest.raises(DataError, match="several categories are called 'x': rename all but one"):
        read_classes(coco(copy))
    assert read_classes(coco(copy, metainfo={'classes': ('star',)})) == ('star',)  # not chosen


def test_names_in_the_config_are_used_and_checked(shapes):
    some = ('circle', 'star')
    for cfg in (coco(shapes), voc(shapes)):
        assert read_classes({**cfg, 'metainfo': {'classes': some}}) == some
        with pytest.raises(DataError, match=r"'sta', but .* no such class.*mean star"):
            read_classes({**cfg, 'metainfo': {'classes': ['circle', 'sta']}})


def test_names_in_the_config_follow_the_order_of_coco_labels(shapes):
    with pytest.raises(DataError, match="must be 'circle', 'star', not 'star', 'circle'"):
        read_classes(coco(shapes, metainfo={'classes': ('star', 'circle')}))


def test_names_for_folders_may_be_others_but_not_in_another_order(shapes):
    names = ('one', 'two', 'three', 'four', 'five', 'six')
    assert read_classes(folders(shapes, metainfo={'classes': names})) == names
    for wrong in (CLASSES, ('one', *sorted(CLASSES)[1:]), names[:5]):
        with pytest.raises(DataError):
            read_classes(folders(shapes, metainfo={'classes': wrong}))


def test_one_class_written_without_a_comma(shapes):
    with pytest.raises(DataError, match=r"write \('circle',\)"):
        read_classes(coco(shapes, metainfo={'classes': 'circle'}))


def test_remote_data_is_not_looked_for():
    cfg = coco('s3://bucket/data', metainfo={'classes': ('a', 'b')})
    assert read_classes(cfg) == ('a', 'b')


def test_a_type_that_no_package_has(shapes):
    with pytest.raises(DataError, match='CoccoDataset'):
        read_classes(coco(shapes, type='mmdet.CoccoDataset'))
    with pytest.raises(DataError, match='without a type'):
        read_classes({'data_root': str(shapes)})


def test_missing_shapes_say_how_they_are_made(tmp_path):
    with pytest.raises(DataError, match=r'prepare_data\.py shapes --out .*shapes$'):
        read_classes(coco(tmp_path / 'shapes'))
    with pytest.raises(DataError, match='image folder not found'):
        read_classes(folders(tmp_path))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"images": [{"id": 1, "file_na', 'line 1 column 23'),
        ('[1, 2]', 'not in COCO format'),
        (json.dumps({'images': [{'file_name': 'a'}], 'annotations': []}), 'no categories'),
        (json.dumps({'categories': [{'name': 'a'}], 'annotations': []}), 'no images'),
        (json.dumps({'images': [{'file_name': 'a'}], 'categories': [{'id': 1}]}), "'name'"),
        ('', 'line 1 column 1'),
        (b'\xff\xfe\x00', 'cannot read|not readable'),
    ],
)
def test_annotation_files_that_are_broken(text, message, tmp_path):
    (tmp_path / 'a.json').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message) as error:
        read_classes(coco(tmp_path, ann_file='a.json'))
    assert str(tmp_path / 'a.json') in str(error.value)


def test_a_folder_without_classes(tmp_path):
    (tmp_path / 'imagefolder/train').mkdir(parents=True)
    with pytest.raises(DataError, match='no sub-folders'):
        read_classes(folders(tmp_path))
