import hashlib
import json
import multiprocessing
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image

from vitmm.datasets import write_shapes
from vitmm.datasets.draw import CLASSES, MIN_CONTRAST, draw_portrait, draw_scene
from vitmm.datasets.formats import run_lengths, tight_box
from vitmm.datasets.shapes import image_rng
from vitmm.registry import FUNCTIONS


def hashes(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def load_coco(path):
    from pycocotools.coco import COCO

    return COCO(str(path))


def test_the_same_seed_gives_the_same_bytes(shapes, tmp_path):
    # In a process of its own: nothing may hang on the process, such as the hashes of texts.
    processes = multiprocessing.get_context('forkserver')
    processes.set_forkserver_preload(['vitmm.datasets'])
    other = processes.Process(target=write_shapes, args=(str(tmp_path / 'a'), 8, 4, 12, 6))
    other.start()
    other.join()
    assert hashes(tmp_path / 'a') == hashes(shapes)


def test_another_seed_gives_other_images(shapes, tmp_path):
    other = hashes(write_shapes(tmp_path / 'b', 1, 1, 6, 6, seed=1))
    name = 'JPEGImages/train_00000.jpg'
    assert other[name] != hashes(shapes)[name]


def test_a_larger_count_leaves_the_first_images_as_they_were(shapes, tmp_path):
    few = hashes(write_shapes(tmp_path / 'c', 2, 1, 6, 6))
    many = hashes(shapes)
    images = [name for name in few if name.endswith(('.jpg', '.png', '.xml'))]
    assert len(images) == 3 * 3 + 12
    assert all(few[name] == many[name] for name in images)


def test_splits_share_no_image(shapes):
    found = [h for name, h in hashes(shapes).items() if name.endswith('.jpg')]
    assert len(set(found)) == len(found) == 8 + 4 + 12 + 6


def test_scenes_are_as_promised():
    for index in range(40):
        scene = draw_scene(image_rng(3, 'train', index))
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8 and min(height, width) >= 160
        assert max(height, width) <= 256 and 1 <= len(scene.labels) <= 7
        assert np.sum(scene.masks, axis=0).max() == 1, 'visible parts do not overlap'
        for mask in scene.masks:
            x1, y1, x2, y2 = tight_box(mask)
            assert mask.shape == (height, width)
            assert max(x2 - x1, y2 - y1) <= 120 and mask.sum() >= 20
    assert {label for i in range(40) for label in draw_scene(image_rng(3, 'train', i)).labels} == {
        *range(len(CLASSES))
    }


def test_shapes_stand_out_from_the_ground_around_them():
    contrasts, kernel = [], np.ones((15, 15), np.uint8)
    for index in range(60):
        scene = draw_portrait(image_rng(0, 'cls_val', index), index % len(CLASSES))
        mask = scene.masks[0].astype(np.uint8)
        around = (cv2.dilate(mask, kernel) - cv2.dilate(mask, kernel[:3, :3])).astype(bool)
        contrast = scene.image[around].mean(0) - scene.image[mask > 0].mean(0)
        contrasts.append(np.linalg.norm(contrast))
    # A rim or a texture moves the mean of a shape, so a few are below what was asked of the fill.
    assert np.percentile(contrasts, 10) > 0.9 * MIN_CONTRAST


def test_run_lengths_are_cocos():
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for mask in (rng.random((7, 5)) < 0.5, np.ones((3, 4), bool), np.zeros((3, 4), bool)):
        code = coco_mask.frPyObjects(run_lengths(mask), *mask.shape)
        assert np.array_equal(coco_mask.decode(code), mask)
        assert code['counts'] == coco_mask.encode(np.asfortranarray(mask, np.uint8))['counts']


@pytest.mark.parametrize(('split', 'count'), [('train', 8), ('val', 4)])
def test_coco_boxes_are_tight_around_their_masks(shapes, split, count):
    coco = load_coco(shapes / f'coco/instances_{split}.json')
    assert len(coco.imgs) == count
    assert [c['name'] for c in coco.dataset['categories']] == list(CLASSES)
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation).astype(bool)
        x, y, w, h = annotation['bbox']
        assert (x, y, x + w, y + h) == tight_box(mask)
        assert annotation['area'] == mask.sum() and annotation['iscrowd'] == 0


def test_voc_boxes_are_those_of_coco(shapes):
    coco = load_coco(shapes / 'coco/instances_val.json')
    ids = (shapes / 'ImageSets/Main/val.txt').read_text().split()
    assert ids == [image['file_name'][:-4] for image in coco.imgs.values()]
    for id, image in zip(ids, coco.imgs.values(), strict=True):
        tree = ElementTree.parse(shapes / f'Annotations/{id}.xml')
        size = tuple(int(tree.findtext(f'size/{side}')) for side in ('width', 'height'))
        assert size == Image.open(shapes / f'JPEGImages/{id}.jpg').size
        assert size == (image['width'], image['height'])
        annotations = coco.imgToAnns[image['id']]
        objects = tree.findall('object')
        assert len(objects) == len(annotations) > 0
        for object, annotation in zip(objects, annotations, strict=True):
            x1, y1, x2, y2 = (
                int(object.findtext(f'bndbox/{side}')) for side in ('xmin', 'ymin', 'xmax', 'ymax')
            )
            assert [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1] == annotation['bbox']
            assert object.findtext('name') == CLASSES[annotation['category_id'] - 1]


def test_segmentation_is_the_union_of_the_instances(shapes):
    coco = load_coco(shapes / 'coco/instances_train.json')
    for image in coco.imgs.values():
        expected = np.zeros((image['height'], image['width']), np.uint8)
        for annotation in coco.imgToAnns[image['id']]:
            expected[coco.annToMask(annotation).astype(bool)] = annotation['category_id']
        picture = Image.open(shapes / 'SegmentationClass' / f'{image["file_name"][:-4]}.png')
        assert picture.mode == 'P'
        assert np.array_equal(np.array(picture), expected)


def test_class_folders_are_balanced(shapes):
    for split, count in (('train', 2), ('val', 1)):
        folders = sorted((shapes / f'imagefolder/{split}').iterdir())
        assert [folder.name for folder in folders] == sorted(CLASSES)
        assert all(len(list(folder.glob('*.jpg'))) == count for folder in folders)


def test_class_lists_and_record(shapes):
    assert (shapes / 'classes.txt').read_text().split() == list(CLASSES)
    listed = (shapes / 'SegmentationClass/classes.txt').read_text().split()
    assert listed == ['background', *CLASSES]
    assert json.loads((shapes / 'shapes.json').read_text())['num_train'] == 8


def test_configs_can_call_it(shapes):
    counts = {'num_train': 8, 'num_val': 4, 'num_cls_train': 12, 'num_cls_val': 6}
    assert FUNCTIONS.build({'type': 'vitmm.write_shapes', 'root': str(shapes), **counts})


def test_the_picture(tmp_path):
    from vitmm.datasets.picture import write_picture

    path = write_picture(tmp_path / 'deep/picture.jpg', indices=(0, 1))
    assert Image.open(path).size[0] > 300
