"""A detector on data in LVIS's format; its figures are those of another implementation."""

import json
from collections import Counter
from importlib import import_module
from itertools import chain
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster
from mmengine.registry import DATASETS
from support import CONFIGS

from vitmm.apis.scalars import last_scores
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.datasets import files
from vitmm.errors import VitmmError

module = import_module('vitmm.evaluation.lvis_metric')  # its package has a function of that name


@pytest.fixture(scope='module')
def lvis(tiny_shapes):
    """The set with what LVIS's files have and COCO's have not; returns the options to use it."""
    for split in ('train', 'val'):
        content = json.loads((tiny_shapes / f'coco/instances_{split}.json').read_text())
        there = {c['id']: set() for c in content['categories']}
        for annotation in content['annotations']:
            there[annotation['category_id']].add(annotation['image_id'])
        for category in content['categories']:
            category['frequency'] = 'rcf'[category['id'] % 3]
            category['image_count'] = len(there[category['id']])
        for image in content['images']:
            name = image.pop('file_name')
            image['coco_url'] = f'http://images.cocodataset.org/JPEGImages/{name}'
            absent = [id for id, images in there.items() if image['id'] not in images]
            # LVIS is not complete: of some categories it says nothing.
            image['neg_category_ids'] = absent[::2]
            image['not_exhaustive_category_ids'] = []
        (tiny_shapes / f'lvis_{split}.json').write_text(json.dumps(content))
    return {'train_ann': 'lvis_train.json', 'val_ann': 'lvis_val.json'}


def test_the_figures(lvis, tiny_shapes):
    path = tiny_shapes / 'lvis_train.json'
    content = json.loads(path.read_text())
    random = np.random.default_rng(0)
    metric = module.LVISMetric(str(path))
    metric.dataset_meta = {'classes': [category['name'] for category in content['categories']]}
    found = []
    for image in content['images']:
        truth = [a for a in content['annotations'] if a['image_id'] == image['id']] * 3
        boxes = np.array([a['bbox'] for a in truth]).reshape(-1, 4)
        boxes = (boxes + random.normal(0, 2, boxes.shape)).clip(0.5).round(3)
        # A third of the labels are wrong, and of these some of categories not told of here.
        labels = [a['category_id'] if random.random() < 0.67 else random.integers(1, 7)
                  for a in truth]  # fmt: skip
        scores = random.random(len(truth)).round(4)
        found += [
            dict(image_id=image['id'], category_id=int(label), bbox=box.tolist(), score=score)
            for box, label, score in zip(boxes, labels, scores, strict=True)
        ]
        corners = torch.tensor(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]))
        predicted = dict(
            bboxes=corners, scores=torch.tensor(scores), labels=torch.tensor(labels).long() - 1
        )
        shape = (image['height'], image['width'])
        metric.process({}, [dict(img_id=image['id'], ori_shape=shape, pred_instances=predicted)])
    scores = metric.evaluate(len(content['images']))
    truth = COCO(str(path))
    other = COCOeval_faster(
        truth, truth.loadRes(found), 'bbox', lvis_style=True, print_function=lambda *_: None
    )
    other.params.maxDets = [300]
    other.run()
    expected = other.stats_as_dict
    assert 0.1 < scores['lvis/bbox_AP'] < 0.9
    for ours, theirs in (('AP', 'AP_all'), ('AP50', 'AP_50'), ('AP75', 'AP_75'), ('APr', 'APr'),
                         ('APc', 'APc'), ('APf', 'APf'), ('APs', 'AP_small')):  # fmt: skip
        assert scores[f'lvis/bbox_{ours}'] == pytest.approx(expected[theirs], abs=5.1e-4), ours


def test_a_detector_that_finds_nothing(lvis, tiny_shapes):
    path = tiny_shapes / 'lvis_train.json'
    content = json.loads(path.read_text())
    metric = module.LVISMetric(str(path), metric=['bbox', 'segm'])
    metric.dataset_meta = {'classes': [category['name'] for category in content['categories']]}
    none = dict(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0).long())
    for image in content['images']:
        shape = (image['height'], image['width'])
        found = {**none, 'masks': torch.zeros(0, *shape, dtype=torch.bool)}
        metric.process({}, [dict(img_id=image['id'], ori_shape=shape, pred_instances=found)])
    scores = metric.evaluate(len(content['images']))
    sizes = Counter(
        'sml'[(a['area'] > 32**2) + (a['area'] > 96**2)] for a in content['annotations']
    )
    for kind in ('bbox', 'segm'):
        assert scores[f'lvis/{kind}_AP'] == scores[f'lvis/{kind}_APr'] == 0
        for size in 'sml':
            assert scores[f'lvis/{kind}_AP{size}'] == (0 if sizes[size] else -1), size


def test_a_detector_trains_on_it(lvis, tiny_options, tmp_path):
    options = {**tiny_options, **lvis, 'image_scale': (96, 96), 'model.test_cfg.score_thr': 0.0}
    recipe = CONFIGS / 'det/vit_retinanet.py'
    runner = train(recipe, data='lvis', work_dir=tmp_path, options=options)
    assert runner.model.bbox_head.num_classes == 6
    scores = last_scores(Path(runner._log_dir) / 'vis_data' / 'scalars.json')
    assert {'lvis/bbox_AP', 'lvis/bbox_APr'} <= scores.keys()


def test_images_of_rare_classes_are_repeated(lvis, tiny_options):
    options = {**tiny_options, **lvis, 'repeat_below': 0.4}
    options['train_dataloader.dataset.pipeline'] = []  # says it to the set inside
    cfg = resolve(load_config(CONFIGS / 'det/vit_retinanet.py', data='lvis', options=options))
    balanced = DATASETS.build(cfg.train_dataloader.dataset)
    shown = [set(balanced.dataset.get_cat_ids(i)) for i in range(len(balanced.dataset))]
    share = {label: n / len(shown) for label, n in Counter(chain(*shown)).items()}
    repeats = [max(ceil(max(1, sqrt(0.4 / share[label]))) for label in one) for one in shown]
    assert len(set(repeats)) > 1
    assert len(balanced) == sum(repeats)
    ids = Counter(balanced[i]['img_id'] for i in range(len(balanced)))
    assert list(ids.values()) == repeats


def test_without_the_package(monkeypatch, lvis, tiny_options, tmp_path):
    monkeypatch.setattr(files, 'find_spec', lambda name: None)
    with pytest.raises(VitmmError, match='pip install --no-deps lvis'):
        module.LVISMetric()
    options = {**tiny_options, **lvis}
    with pytest.raises(VitmmError, match='pip install --no-deps lvis'):
        train(CONFIGS / 'det/vit_retinanet.py', data='lvis', work_dir=tmp_path, options=options)
