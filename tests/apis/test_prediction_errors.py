"""Matching, confusion matrices and kinds of errors, against other implementations."""

import importlib.util
import json
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import mmdet
import numpy as np
import pytest
import torch
from mmpretrain.evaluation import ConfusionMatrix
from mmseg.evaluation import IoUMetric
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vitmm.apis.predictions.charts import draw_confusion, draw_errors
from vitmm.apis.predictions.coco_errors import ErrorCurves, annotations, error_curves, images_of
from vitmm.apis.predictions.confusion import Confusion, count_pairs
from vitmm.apis.predictions.detection import Detection, add_to
from vitmm.apis.predictions.gains import gains
from vitmm.apis.predictions.matching import WRONG, Objects, match
from vitmm.apis.predictions.segmentation import mean_iou
from vitmm.apis.predictions.truths import run_lengths, supercategories

CLASSES = ['cat', 'dog', 'car', 'bus', 'nowhere']
SUPERS = ['animal', 'animal', 'vehicle', 'vehicle', 'vehicle']


def truth_of(*rows):
    """Objects from rows of (x1, y1, x2, y2, label[, ignored])."""
    table = np.array([[*row, 0][:6] for row in rows], float).reshape(-1, 6)
    return Objects(table[:, :4], table[:, 4].astype(int), ignored=table[:, 5] > 0)


def found_of(*rows):
    """Detections from rows of (x1, y1, x2, y2, label, score)."""
    table = np.array(rows, float).reshape(-1, 6)
    return Objects(table[:, :4], table[:, 4].astype(int), table[:, 5])


def test_each_detection_is_matched_as_by_hand():
    truth = truth_of(
        (0, 0, 10, 10, 0), (20, 0, 30, 10, 1), (40, 0, 50, 10, 2), (60, 0, 70, 10, 0),
        (80, 0, 90, 10, 1), (100, 0, 140, 40, 0, 1),
    )  # fmt: skip
    found = found_of(
        (0, 0, 10, 8, 0, 0.6),  # right, though a wrong class on the same object is surer
        (0, 0, 10, 10, 1, 0.9),  # of another class, and the object is taken
        (0, 0, 10, 9, 0, 0.5),  # the same object again, less sure
        (20, 0, 30, 10, 2, 0.8),  # dog taken for car
        (40, 0, 50, 3, 2, 0.7),  # loose: IoU 0.3
        (60, 0, 70, 2, 1, 0.7),  # loose, and of another class
        (200, 200, 210, 210, 0, 0.4),  # nothing there
        (105, 5, 115, 15, 0, 0.3),  # inside a crowd of its class
        (105, 5, 115, 15, 1, 0.3),  # inside a crowd of another
    )
    one = match(found, truth)
    assert one.kinds == [
        'right', 'class', 'twice', 'class', 'loose', 'loose and class', 'background', 'ignored',
        'background',
    ]  # fmt: skip
    assert one.objects.tolist() == [0, -1, -1, 1, -1, -1, -1, -1, -1]
    assert one.near.tolist() == [0, 0, 0, 1, 2, 3, -1, -1, -1]
    assert one.found.tolist() == [0, 3, -1, -1, -1, -1]
    counts = np.zeros((4, 4), int)
    add_to(counts, one, found, truth)
    #          cat dog car missed
    assert counts.tolist() == [[1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1], [2, 3, 1, 0]]


@pytest.mark.parametrize('found, truth', [(found_of(), truth_of((0, 0, 9, 9, 0))),
                                          (found_of((0, 0, 9, 9, 0, 1)), truth_of())])  # fmt: skip
def test_nothing_found_and_nothing_there(found, truth):
    one = match(found, truth)
    assert one.kinds == ['background'] * len(found.boxes) and (one.found == -1).all()


def drawn(*areas):
    """Masks (N, 60, 60) of parts that are filled, their boxes and run lengths."""
    masks = np.zeros((len(areas), 60, 60), np.uint8)
    boxes = []
    for mask, parts in zip(masks, areas, strict=True):
        for part in parts:
            mask[part] = 1
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    coded = [coco_masks.encode(np.asfortranarray(mask)) for mask in masks]
    return masks.astype(bool), np.array(boxes, float), coded


def masked():
    """Detections that are right by box or by mask, never by both, the objects, IoUs of masks."""
    left, bottom = np.s_[0:30, 0:3], np.s_[27:30, 0:30]  # an L
    top, right = np.s_[0:3, 0:30], np.s_[0:30, 27:30]  # in the same box, the other two sides
    block, stray = np.s_[40:48, 40:50], np.s_[59:60, 0:1]
    true_masks, true_boxes, true = drawn((left, bottom), (block,))
    found_masks, found_boxes, found = drawn((top, right), (block, stray))
    ious = [[(f & t).sum() / (f | t).sum() for t in true_masks] for f in found_masks]
    labels = np.array([0, 1])
    return (
        Objects(found_boxes, labels, np.array([0.9, 0.8]), masks=found),
        Objects(true_boxes, labels, ignored=np.zeros(2, bool), masks=true),
        np.array(ious),
    )


def test_masks_decide_where_there_are_some():
    found, truth, ious = masked()
    assert ious[0, 0] < 0.1 and ious[1, 1] > 0.9
    assert match(found, truth).kinds == ['right', 'background']
    one = match(found, truth, kind='segm')
    assert one.kinds == ['background', 'right'] and one.found.tolist() == [-1, 1]
    barely = float(ious[1, 1])
    assert match(found, truth, barely - 1e-6, 'segm').kinds[1] == 'right'
    assert match(found, truth, barely + 1e-6, 'segm').kinds[1] == 'loose'


def test_a_loose_mask_is_mended_by_that_of_its_object():
    found, truth, ious = masked()
    record = {'size': (60, 60), 'truth': truth, 'found': found}
    # Just above the IoU of its mask the second is loose, which costs its class all its AP.
    assert gains([record], 2, ious[1, 1] + 1e-6, 'segm')['loose'] == pytest.approx(0.5)
    assert gains([record], 2, 0.5, 'segm')['loose'] == 0


@pytest.mark.parametrize('without', [None, 'found', 'truth'])
def test_the_analysis_takes_masks_of_both_or_boxes(without):
    found, truth, _ = masked()
    sides = {'found': found, 'truth': truth}
    if without:
        sides[without] = replace(sides[without], masks=None)
    record = {'path': 'a', 'size': (60, 60), **sides}
    truths = SimpleNamespace(
        classes=['L', 'block'], supercategories=None, notes=[], of=lambda *_: sides['truth']
    )
    analysis = Detection(truths, 0.3, 0.5).analyse([record])
    by = 'boxes' if without else 'masks'
    assert analysis.content['matched_by'] == by and f'F1 of {by} at' in analysis.measure
    right = [0, 1] if by == 'masks' else [1, 0]
    assert np.diag(analysis.confusion.counts)[:2].tolist() == right
    assert set(analysis.content['coco_errors']) == ({'bbox'} if without else {'bbox', 'segm'})


def scenes(seed=0, images=12, masks=False):
    """Records of images with random objects, and detections near some of them."""
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(images):
        corner, side = rng.integers(0, 150, (6, 2)), rng.integers(10, 120, (6, 2))
        boxes = np.hstack([corner, corner + side]).astype(float)
        labels = rng.integers(0, 4, 6)
        wrong = rng.random(24) < 0.3
        shifted = np.tile(boxes, (4, 1)) + rng.normal(0, 8, (24, 4)).round()
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 2)
        told = np.where(wrong, rng.integers(0, 4, 24), np.tile(labels, 4))
        kept = rng.permutation(24)[:14]
        cut = [coco_masks.frPyObjects([[x1, y1, x2, y1, x2, y2]], 300, 300)[0]
               for x1, y1, x2, y2 in [*boxes, *shifted[kept]]] if masks else None  # fmt: skip
        records.append({
            'size': (300, 300),
            'truth': Objects(boxes, labels, None, rng.random(6) < 0.1, cut and cut[:6]),
            'found': Objects(shifted[kept], told[kept], rng.random(14).round(3), None,
                             cut and cut[6:]),
        })  # fmt: skip
    return records


def pycoco(records, kind):
    """The same as pycocotools' two sides."""
    sides = []
    for key in ('truth', 'found'):
        side = COCO()
        entries = [one for n, r in enumerate(records) for one in annotations(n, r[key], kind)]
        side.dataset = {
            'images': images_of(records),
            'categories': [{'id': k, 'name': name, 'supercategory': SUPERS[k]}
                           for k, name in enumerate(CLASSES)],
            'annotations': [{**one, 'id': n} for n, one in enumerate(entries, 1)],
        }  # fmt: skip
        side.createIndex()
        sides.append(side)
    return sides


@pytest.mark.parametrize('kind', ['bbox', 'segm'])
def test_error_curves_are_those_of_pycocotools_and_mmdets_tool(kind):
    records = scenes(masks=kind == 'segm')
    curves = error_curves(records, CLASSES, SUPERS, kind)
    assert curves.names == ['C75', 'C50', 'Loc', 'Sim', 'Oth', 'BG', 'FN']
    file = Path(mmdet.__file__).parent / '.mim/tools/analysis_tools/coco_error_analysis.py'
    spec = importlib.util.spec_from_file_location('coco_error_analysis', file)
    stock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stock)
    with redirect_stdout(StringIO()):
        truth, found = pycoco(records, kind)
        evaluation = COCOeval(truth, found, kind)
        evaluation.params.iouThrs = np.array([0.75, 0.5, 0.1])
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
        expected = list(evaluation.eval['precision'][..., 0])
        forgiven = [
            stock.analyze_individual_category(k, found, truth, k, kind)[1] for k in range(5)
        ]
    for key in ('ps_supercategory', 'ps_allcategory'):
        expected.append(np.stack([one[key][..., 0] for one in forgiven], 1))
    expected = np.where(expected[0] < 0, np.nan, np.stack(expected).clip(min=0))
    np.testing.assert_allclose(curves.precision[:5], expected)
    steps = np.diff(np.array(curves.areas()['all']))
    assert (steps > 0.005).all()  # there are errors of every kind in it
    assert curves.areas()['nowhere'] == [None] * 7
    # As COCO does, a class without objects does not count.
    assert curves.areas()['all'][1] == pytest.approx(np.nanmean(expected[1, :, :4, 0]))
    assert len(draw_errors(curves, 'boxes').axes) == 2


def test_of_many_classes_those_that_lose_most_are_drawn():
    names, classes = ['C75', 'FN'], [f'class {n}' for n in range(60)]
    precision = np.stack([np.linspace(0.1, 0.9, 60), np.ones(60)])[:, None, :, None]
    precision = np.repeat(np.repeat(precision, 3, 1), 4, 3)
    precision[:, :, 50:] = np.nan  # they do not occur
    precision[..., 3] = np.nan  # nor does anything large
    figure = draw_errors(ErrorCurves(names, precision, np.linspace(0, 1, 3), classes), 'boxes')
    left, right = figure.axes
    assert left.get_title() == 'boxes, mean of 50 classes'
    drawn = [label.get_text() for label in right.get_yticklabels()]
    assert drawn == ['all sizes', 'small', 'medium', *classes[:40]]


CAT, OTHER, EMPTY = (0, 0, 100, 100), (120, 0, 220, 100), (200, 200, 299, 299)
# What is in the first image, and what is found there; the other three have a cat, found.
PLANTED = {
    'Loc': ([(*CAT, 0)], [(0, 0, 100, 40, 0, 0.9)]),
    'Sim': ([(*CAT, 0), (*OTHER, 1)], [(*CAT, 0, 0.5), (*OTHER, 0, 0.9), (*OTHER, 1, 0.8)]),
    'Oth': ([(*CAT, 0), (*OTHER, 2)], [(*CAT, 0, 0.5), (*OTHER, 0, 0.9), (*OTHER, 2, 0.8)]),
    'BG': ([(*CAT, 0)], [(*CAT, 0, 0.5), (*EMPTY, 0, 0.9)]),
    'FN': ([(*CAT, 0)], []),
}


def planted(kind):
    """Four records; what is wrong is surer than what is right."""
    scenes = [PLANTED[kind], *[([(*CAT, 0)], [(*CAT, 0, 0.5)])] * 3]
    return [
        {'size': (300, 300), 'truth': truth_of(*truth), 'found': found_of(*found)}
        for truth, found in scenes
    ]


@pytest.mark.parametrize('kind', PLANTED)
def test_a_planted_error_is_told_as_what_it_is(kind):
    areas = error_curves(planted(kind), CLASSES, SUPERS, 'bbox')
    steps = dict(zip(areas.names[1:], np.diff(areas.areas()['cat']), strict=True))
    assert steps.pop(kind) > 0.05
    assert steps == pytest.approx(dict.fromkeys(steps, 0))


def test_without_supercategories_sim_is_left_out():
    curves = error_curves(planted('Sim'), CLASSES, None, 'bbox')
    assert curves.names == ['C75', 'C50', 'Loc', 'Oth', 'BG', 'FN']
    assert dict(zip(curves.names[1:], np.diff(curves.areas()['cat']), strict=True))['Oth'] > 0.05


TIDE = {
    'twice': ([(0, 0, 100, 100, 0)], [(0, 0, 100, 100, 0, 0.9), (0, 0, 100, 95, 0, 0.8)]),
    'class': ([(0, 0, 100, 100, 0)], [(0, 0, 100, 100, 1, 0.9)]),
    'loose': ([(0, 0, 100, 100, 0)], [(0, 0, 100, 40, 0, 0.9)]),
    'loose and class': ([(0, 0, 100, 100, 0)], [(0, 0, 100, 100, 0, 0.5), (0, 0, 100, 40, 1, 0.9)]),
    'background': ([(0, 0, 100, 100, 0)], [(0, 0, 100, 100, 0, 0.5), (200, 200, 299, 299, 0, 0.9)]),
    'missed': ([(0, 0, 100, 100, 0)], []),
}


@pytest.mark.parametrize('kind', TIDE)
def test_only_mending_the_planted_kind_gains_anything(kind):
    truth, found = TIDE[kind]
    whole = [(0, 0, 50, 50, 0), (0, 0, 50, 50, 1)]
    records = [
        {'size': (300, 300), 'truth': truth_of(*truth), 'found': found_of(*found)},
        # Less sure, so that a false detection before it costs precision.
        *[{'size': (300, 300), 'truth': truth_of(one), 'found': found_of((*one, 0.3))}
          for one in whole],
    ]  # fmt: skip
    gained = gains(records, 2, 0.5)
    assert list(gained) == [*WRONG, 'missed']
    assert gained.pop(kind) > 0.05
    assert gained == pytest.approx(dict.fromkeys(gained, 0))


def test_confusions_of_labels_are_counted_as_by_others():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 5, 200), rng.integers(0, 4, 200)
    counts = count_pairs(truth, predicted, 6)
    expected = ConfusionMatrix.calculate(torch.tensor(predicted), torch.tensor(truth), 6)
    assert counts.tolist() == expected.tolist()
    brute = [[((truth == t) & (predicted == p)).sum() for p in range(6)] for t in range(6)]
    assert counts.tolist() == brute
    one = Confusion(counts, list('abcdef'), 'images')
    np.testing.assert_allclose(np.nansum(one.shares, 1), [1, 1, 1, 1, 1, 0])
    assert np.isnan(one.shares[5]).all()  # a class that does not occur
    told = one.by_class()
    assert told[5] == {'class': 'f', 'images': 0, 'recall': None, 'precision': None}
    assert told[1]['precision'] == pytest.approx(((truth == 1) & (predicted == 1)).sum()
                                                 / (predicted == 1).sum())  # fmt: skip
    top = one.top(3)
    off = counts - np.diag(np.diag(counts))
    assert [pair['count'] for pair in top] == sorted(off.ravel(), reverse=True)[:3]
    assert off['abcdef'.index(top[0]['truth']), 'abcdef'.index(top[0]['predicted'])] == off.max()


def test_labels_that_are_no_class_do_not_count():
    assert count_pairs(np.array([0, 255, 1]), np.array([1, 0, 1]), 2).tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize('number', [2, 30, 150])
def test_a_matrix_of_any_number_of_classes_is_drawn(number):
    counts = np.eye(number, dtype=int) * 3
    counts[0, 1] = 1
    axes = draw_confusion(Confusion(counts, [f'c{k}' for k in range(number)], 'images')).axes[0]
    assert len(axes.texts) == (number + 1 if number <= 20 else 0)
    assert 2 <= len(axes.get_xticks()) <= 130


def test_mean_iou_of_an_image_is_that_of_mmseg():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, (20, 30)), rng.integers(0, 6, (20, 30))
    truth[:5] = 255
    areas = IoUMetric.intersect_and_union(
        torch.from_numpy(predicted), torch.from_numpy(truth), 6, 255
    )
    known = truth != 255
    codes, counts = np.unique(truth[known] * 6 + predicted[known], return_counts=True)
    both, union = areas[0].numpy()[:4], areas[1].numpy()[:4]
    assert mean_iou(codes, counts, 6) == pytest.approx((both / union).mean())
    assert mean_iou(np.array([], int), np.array([], int), 6) is None


@pytest.mark.parametrize('truth', [[(0, 0, 50, 50, 0)], [(0, 0, 50, 50, 0, 1)]])
def test_a_model_that_finds_nothing_misses_everything(truth):
    records = [{'size': (99, 99), 'truth': truth_of(*truth), 'found': found_of()}]
    curves = error_curves(records, CLASSES[:2], None, 'bbox')
    ignored = len(truth[0]) == 6
    assert curves.areas()['cat'] == ([None] * 6 if ignored else [0, 0, 0, 0, 0, 1])
    assert gains(records, 2, 0.5)['missed'] == 0  # nothing is left to measure
    draw_errors(curves, 'boxes').canvas.draw()


def ious(found, truth):
    """(N, M), of boxes."""
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    both = (high - low).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (found, truth)]
    return both / (areas[0][:, None] + areas[1][None] - both)


def test_the_matrix_tells_what_its_background_is():
    records = [{**one, 'path': str(n)} for n, one in enumerate(scenes())]
    for one in records:
        one['truth'] = replace(one['truth'], ignored=np.zeros(6, bool))
    away = np.array([[280.0, 280, 299, 299]])
    found = records[0]['found']
    records[0]['found'] = Objects(
        np.vstack([found.boxes, away]), np.append(found.labels, 0), np.append(found.scores, 0.9)
    )
    truths = SimpleNamespace(
        classes=CLASSES, supercategories=None, notes=[], of=lambda _, record: record['truth']
    )
    confusion = Detection(truths, 0.3, 0.5).analyse(records).confusion
    nowhere = 0
    for one in records:
        sure = one['found'].boxes[one['found'].scores >= 0.3]
        nowhere += int((ious(sure, one['truth'].boxes).max(1) < 0.1).sum())
    missed, false = confusion.counts[:-1, -1].sum(), confusion.counts[-1].sum()
    assert 0 < nowhere < false == sum(confusion.false.values())
    assert f'{nowhere} on background, where no object is' in confusion.words
    assert f'the {missed} objects that no' in confusion.words
    assert f'the {false} false detections' in confusion.words
    axes = draw_confusion(confusion).axes[0]
    ticks = [axis.get_ticklabels()[-1].get_text() for axis in (axes.xaxis, axes.yaxis)]
    assert ticks == ['background\n(missed)', 'background\n(false)']
    plain = Confusion(confusion.counts, [*CLASSES, 'more'], 'images')
    assert 'background' not in plain.words


@pytest.mark.parametrize(
    'told, expected',
    [
        (SUPERS, ['animal', 'vehicle', 'animal']),
        ([None] * 5, None),
        (['thing'] * 5, None),
        (list('abcde'), None),  # each its own: no two are similar
    ],
)
def test_supercategories_are_read_where_they_tell_something(told, expected, tmp_path):
    categories = [
        {'id': 9 - k, 'name': name} | ({'supercategory': told[k]} if told[k] else {})
        for k, name in enumerate(CLASSES)
    ]
    (tmp_path / 'a.json').write_text(json.dumps({'categories': categories}))
    config = dict(type='mmdet.CocoDataset', data_root=str(tmp_path), ann_file='a.json')
    assert supercategories(config, 'mmdet', ['dog', 'bus', 'cat']) == expected
    config = dict(type='mmdet.XMLDataset', data_root=str(tmp_path), ann_file='a.json')
    assert supercategories(config, 'mmdet', ['dog', 'bus', 'cat']) is None


def test_masks_of_all_kinds_become_run_lengths():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:8, 5:15] = 1
    polygon = [[5, 2, 15, 2, 15, 8, 5, 8]]
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    packed = coco_masks.encode(np.asfortranarray(mask))
    for told in (polygon, {'size': [20, 30], 'counts': counts}, packed):
        assert (coco_masks.decode(run_lengths(told, (20, 30))) == mask).all()
