"""The stock data sets of mmdet, mmseg and mmpretrain read what we write."""

import numpy as np
import pytest
from shapes_configs import coco, folders, seg, voc

import vitmm  # noqa: F401  (makes mmdet and mmseg importable)
from vitmm.datasets import read_classes
from vitmm.datasets.draw import CLASSES


def build(cfg, pipeline):
    """A data set of ours under stock classes, with its classes filled in as a recipe does."""
    from mmengine.registry import DATASETS

    from vitmm.datasets.sources import dataset_class

    dataset_class(cfg)  # imports the package that has it
    classes = read_classes(cfg)
    return DATASETS.build({**cfg, 'metainfo': {'classes': classes}, 'pipeline': pipeline})


def test_mmdet_coco(shapes):
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'mmdet.LoadAnnotations', 'with_bbox': True, 'with_mask': True},
    ]
    dataset = build(coco(shapes), pipeline)
    assert len(dataset) == 8 and dataset.metainfo['classes'] == CLASSES
    for sample in dataset:
        assert sample['img'].shape[:2] == sample['ori_shape']
        masks = sample['gt_masks'].to_ndarray()
        boxes = sample['gt_bboxes'].tensor.numpy()
        assert len(masks) == len(boxes) == len(sample['gt_bboxes_labels']) > 0
        for mask, box in zip(masks, boxes, strict=True):
            ys, xs = np.nonzero(mask)
            assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == box.tolist()


def test_mmdet_voc(shapes):
    voc_set, coco_set = build(voc(shapes), []), build(coco(shapes), [])
    assert len(voc_set) == len(coco_set)
    for ours, theirs in zip(voc_set, coco_set, strict=True):
        assert ours['img_path'] == theirs['img_path']
        for a, b in zip(ours['instances'], theirs['instances'], strict=True):
            assert a['bbox_label'] == b['bbox_label']
            # mmdet keeps VOC's last pixel inside the box, and COCO's outside it.
            assert np.allclose(a['bbox'], np.subtract(b['bbox'], (0, 0, 1, 1)))


@pytest.mark.parametrize('with_list', [True, False])
def test_mmseg(shapes, with_list):
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}]
    cfg = seg(shapes) if with_list else seg(shapes, ann_file='')
    dataset = build(cfg, pipeline)
    assert len(dataset) == (8 if with_list else 12)
    assert dataset.metainfo['classes'] == ('background', *CLASSES)
    found = set()
    for sample in dataset:
        assert sample['gt_seg_map'].shape == sample['img'].shape[:2]
        found |= set(np.unique(sample['gt_seg_map']))
    assert found <= set(range(7)) and {0, 1} <= found


def test_mmpretrain(shapes):
    dataset = build(folders(shapes), [{'type': 'LoadImageFromFile'}])
    assert len(dataset) == 12 and list(dataset.CLASSES) == sorted(CLASSES)
    for sample in dataset:
        assert dataset.CLASSES[sample['gt_label']] in sample['img_path']
