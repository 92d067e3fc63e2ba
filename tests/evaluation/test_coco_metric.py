"""The fast COCO metrics give pycocotools' figures, for boxes, masks and proposals."""

import gc
import json

import numpy as np
import pytest
import torch
from faster_coco_eval import COCOeval_faster
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError
from vitmm.evaluation.coco_metric import CocoMetric

SIZE = (120, 160)


def draw(box):
    """The mask of an ellipse that fills a box (x, y, w, h)."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    x, y, w, h = box
    inside = ((columns - x) / w - 0.5) ** 2 + ((rows - y) / h - 0.5) ** 2 <= 0.25
    return rle.encode(np.asfortranarray(inside.astype(np.uint8)))


def make(folder, images, classes, boxes, found, seed=0):
    """Write annotations; return their file and what a detector, right half the time, says."""
    random = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, images + 1):
        corners = random.uniform(0, 80, (boxes, 2))
        truth = np.hstack([corners, random.uniform(3, 80, (boxes, 2))])
        labels = random.integers(0, classes, boxes)
        for box, label in zip(truth, labels, strict=True):
            mask = draw(box)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=int(label) + 1,
                    bbox=box.tolist(),
                    area=float(rle.area(mask)),
                    segmentation={**mask, 'counts': mask['counts'].decode()},
                    iscrowd=int(random.random() < 0.1),
                )
            )
        which = random.integers(0, boxes, found)
        guessed = truth[which] + random.normal(0, 3, (found, 4))
        guessed[:, 2:] = guessed[:, 2:].clip(1)
        right = random.random(found) < 0.6
        corner = guessed[:, :2]
        results.append(
            dict(
                img_id=image,
                ori_shape=SIZE,
                pred_instances=dict(
                    bboxes=torch.tensor(np.hstack([corner, corner + guessed[:, 2:]])).float(),
                    # Ties, too: both sort them alike.
                    scores=torch.tensor(random.random(found).round(2)).float(),
                    labels=torch.tensor(
                        np.where(right, labels[which], random.integers(0, classes, found))
                    ),
                    masks=torch.from_numpy(
                        np.stack([rle.decode(draw(box)) for box in guessed]).astype(bool)
                    ),
                ),
            )
        )
    content = dict(
        images=[dict(id=i + 1, width=160, height=120, file_name=f'{i}') for i in range(images)],
        annotations=annotations,
        categories=[dict(id=c + 1, name=f'class {c}') for c in range(classes)],
    )
    path = folder / 'truth.json'
    path.write_text(json.dumps(content))
    return path, results


def evaluate(path, results, classes, **settings):
    metric = CocoMetric(ann_file=str(path), **settings)
    metric.dataset_meta = {'classes': [f'class {c}' for c in range(classes)]}
    metric.process({}, [{**one, 'pred_instances': {**one['pred_instances']}} for one in results])
    return metric.evaluate(len(results))


@pytest.fixture
def raw(monkeypatch):
    """Unrounded figures of every evaluation; mmdet rounds to three digits."""
    seen = []
    for kind in (COCOeval, COCOeval_faster):

        def summarize(self, plain=kind.summarize):
            plain(self)
            seen.append((np.array(self.stats[:12]), self.eval['precision']))

        monkeypatch.setattr(kind, 'summarize', summarize)
    return seen


@pytest.mark.parametrize(
    'images, classes, boxes, found',
    [(30, 4, 5, 20), (1, 1, 1, 1), (3, 1203, 8, 40)],
    ids=['usual', 'one', 'as many classes as LVIS'],
)
def test_the_figures_are_those_of_pycocotools(images, classes, boxes, found, tmp_path, raw):
    path, results = make(tmp_path, images, classes, boxes, found)
    settings = dict(metric=['bbox', 'segm', 'proposal'], classwise=classes < 10)
    faster = evaluate(path, results, classes, **settings)
    original = evaluate(path, results, classes, backend='pycocotools', **settings)
    assert faster == pytest.approx(original, abs=1e-6, nan_ok=True)
    assert len(raw) == 6
    for (a, p), (b, q) in zip(raw[:3], raw[3:], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
        np.testing.assert_allclose(p, q, atol=1e-6)
    assert 0.02 < original['coco/bbox_mAP'] < 0.98 or images == 1


@pytest.mark.parametrize('backend', ['faster', 'pycocotools'])
def test_a_detector_that_finds_nothing(backend, tmp_path):
    """0 where there are objects, -1 where there are none, as of one wrong and tiny detection."""
    path, results = make(tmp_path, 3, 2, 4, 5)
    content = json.loads(path.read_text())
    for one in content['annotations']:
        one['area'] = 5000.0  # no object is small
    path.write_text(json.dumps(content))
    for one in results:
        one['pred_instances'] = {k: v[:0] for k, v in one['pred_instances'].items()}
    settings = dict(metric=['bbox', 'segm', 'proposal'], classwise=True, backend=backend)
    prefix = str(tmp_path / 'kept')
    scores = evaluate(path, results, 2, outfile_prefix=prefix, **settings)
    assert json.loads((tmp_path / 'kept.bbox.json').read_text()) == []  # nothing is made up there
    truth = COCO(str(path))
    for kind in ('bbox', 'segm'):
        wrong = COCOeval(truth, COCO(), kind)  # pycocotools itself, on no detection
        wrong.cocoDt.imgs, wrong.cocoDt.dataset = truth.imgs, {**truth.dataset, 'annotations': []}
        wrong.cocoDt.createIndex()
        for step in (wrong.evaluate, wrong.accumulate, wrong.summarize):
            step()
        names = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
        expected = dict(zip((f'coco/{kind}_{n}' for n in names), wrong.stats, strict=False))
        assert {k: scores[k] for k in expected} == expected
    assert scores['coco/bbox_mAP'] == scores['coco/class 0_precision'] == scores['coco/AR@100'] == 0
    assert scores['coco/segm_mAP_s'] == -1


@pytest.mark.parametrize('format_only', [False, True])
def test_written_files_are_mmdets(format_only, tmp_path):
    path, results = make(tmp_path, 4, 2, 4, 8)
    for one in results:
        one['pred_instances']['mask_scores'] = one['pred_instances']['scores'] / 2
    for backend in ('faster', 'pycocotools'):
        (tmp_path / backend).mkdir()
        settings = dict(outfile_prefix=str(tmp_path / backend / 'x'), format_only=format_only)
        evaluate(path, results, 2, metric=['bbox', 'segm'], backend=backend, **settings)
    files = [sorted((tmp_path / one).iterdir()) for one in ('faster', 'pycocotools')]
    assert [one.name for one in files[0]] == ['x.bbox.json', 'x.segm.json']
    for found, expected in zip(*files, strict=True):
        assert json.loads(found.read_text()) == json.loads(expected.read_text())
        assert len(json.loads(found.read_text())) == 32


def test_evaluating_leaves_no_file_and_the_collector_on(tmp_path, monkeypatch):
    path, results = make(tmp_path, 4, 2, 4, 8)
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setattr('tempfile.tempdir', str(folder))
    seen = []

    def summarize(self, plain=COCOeval_faster.summarize):
        seen.extend(file for file in folder.rglob('*') if file.is_file())
        seen.append(gc.isenabled())
        plain(self)

    monkeypatch.setattr(COCOeval_faster, 'summarize', summarize)
    evaluate(path, results, 2)
    assert seen == [False, False]  # of boxes and of masks, and no file
    assert gc.isenabled()


def test_masks_are_measured_where_the_model_predicts_them(tmp_path):
    path, results = make(tmp_path, 4, 2, 4, 8)
    both = evaluate(path, results, 2)
    assert both == evaluate(path, results, 2, metric=['bbox', 'segm'])
    for one in results:
        del one['pred_instances']['masks']
    boxes = evaluate(path, results, 2)
    assert boxes == {key: value for key, value in both.items() if 'segm' not in key}
    assert 0 < len(boxes) < len(both)


def test_annotations_of_other_images(tmp_path):
    path, results = make(tmp_path, 4, 2, 4, 8)
    results[2]['img_id'] = 77
    with pytest.raises(DataError, match='image 77, which the annotations of the metric do not'):
        evaluate(path, results, 2)


def test_unknown_backend():
    with pytest.raises(ConfigError, match='fast'):
        CocoMetric(backend='fast')


@pytest.mark.parametrize('backend', ['faster', 'pycocotools'])
def test_annotations_numbered_from_0(backend, tmp_path):
    """To pycocotools an object matched to number 0 is matched to none."""
    path, results = make(tmp_path, 4, 2, 3, 6)
    expected = evaluate(path, results, 2, metric=['bbox', 'segm'], backend=backend)
    content = json.loads(path.read_text())
    for one in content['annotations']:
        one['id'] -= 1
    path.write_text(json.dumps(content))
    assert evaluate(path, results, 2, metric=['bbox', 'segm'], backend=backend) == expected
