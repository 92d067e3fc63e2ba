"""Labels of images from a COCO file."""

import json
from xml.etree import ElementTree

import pytest
from support import fork_tool

from vitmm.datasets import DataError
from vitmm.datasets.draw import CLASSES
from vitmm.datasets.image_labels import coco_to_labels


def test_the_tool_on_shapes_against_the_same_scenes_in_xml(tiny_shapes, tmp_path):
    out = tmp_path / 'sub/labels.json'
    done = fork_tool('prepare_data.py', 'labels', tiny_shapes / 'coco/instances_train.json', out)
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content['metainfo'] == {'classes': list(CLASSES)} and len(content['data_list']) == 12
    for image in content['data_list']:
        xml = tiny_shapes / 'Annotations' / image['img_path'].replace('.jpg', '.xml')
        names = {thing.findtext('name') for thing in ElementTree.parse(xml).iter('object')}
        assert {CLASSES[label] for label in image['gt_label']} == names
    assert out.read_text() == (tiny_shapes / 'multilabel/train.json').read_text()
    again = fork_tool('prepare_data.py', 'labels', tiny_shapes / 'coco/instances_train.json', out)
    assert again.returncode == 1 and 'exists already' in again.stderr


def test_images_without_boxes_and_boxes_without_images(tmp_path):
    box = {'id': 1, 'bbox': [0, 0, 1, 1]}
    content = {
        'images': [{'id': 7, 'file_name': 'a.jpg'}, {'id': 8, 'file_name': 'b.jpg'}],
        'categories': [{'id': 4, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
        'annotations': [
            {**box, 'image_id': 8, 'category_id': 2},
            {**box, 'image_id': 8, 'category_id': 2},
            {**box, 'image_id': 9, 'category_id': 4},
        ],
    }
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    out = coco_to_labels(tmp_path / 'coco.json', tmp_path / 'labels.json')
    assert json.loads(out.read_text())['data_list'] == [
        {'img_path': 'a.jpg', 'gt_label': []},
        {'img_path': 'b.jpg', 'gt_label': [1]},
    ]
    (tmp_path / 'coco.json').write_text('{}')
    with pytest.raises(DataError, match='it has no images'):
        coco_to_labels(tmp_path / 'coco.json', tmp_path / 'other.json')
    assert not (tmp_path / 'other.json').exists()
