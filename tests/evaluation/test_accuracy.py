"""mmpretrain's accuracy from a rank and a score an image."""

import pickle

import pytest
import torch
from mmpretrain.evaluation import Accuracy as Theirs
from mmpretrain.structures import DataSample

from vitmm.evaluation.accuracy import Accuracy


def samples(count=203, classes=7):
    torch.manual_seed(0)
    scores = torch.rand(count, classes).softmax(1)
    labels = torch.randint(classes, (count,))
    return [
        DataSample().set_gt_label(int(label)).set_pred_score(score).to_dict()
        for score, label in zip(scores, labels, strict=True)
    ]


@pytest.mark.parametrize(
    'settings',
    [{}, dict(topk=(1, 5)), dict(topk=3, thrs=None), dict(topk=(1, 2), thrs=(0.2, None))],
)
def test_figures_are_mmpretrains(settings):
    found, expected = (kind(**settings) for kind in (Accuracy, Theirs))
    for metric in (found, expected):
        for start in range(0, 203, 10):
            metric.process(None, samples()[start : start + 10])
    found, expected = found.evaluate(203), expected.evaluate(203)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-4)  # mmpretrain's are in single precision


def test_labels_without_scores():
    data = [DataSample().set_gt_label(i % 3).set_pred_label(i % 2).to_dict() for i in range(12)]
    found, expected = (kind() for kind in (Accuracy, Theirs))
    for metric in (found, expected):
        metric.process(None, data)
    assert found.evaluate(12) == expected.evaluate(12)


def test_what_it_keeps_does_not_grow_with_the_classes():
    metric = Accuracy()
    metric.process(None, samples(50, 1000))
    assert len(pickle.dumps(metric.results)) < 50 * 30


def test_too_few_classes():
    with pytest.raises(ValueError, match='Top-5'):
        Accuracy(topk=5).process(None, samples(4, 3))
