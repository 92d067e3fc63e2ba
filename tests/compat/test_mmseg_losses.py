"""mmseg's losses where its own stop: against torch's mean, and the formula of focal loss."""

import pytest
import torch
from mmseg.models.losses import CrossEntropyLoss, FocalLoss
from torch.nn import functional as F

WEIGHTS = [1.0, 2.0, 0.5, 3.0]


@pytest.fixture
def pair():
    torch.manual_seed(0)
    scores = torch.randn(2, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (2, 5, 6))
    labels[0, 0], labels[1, :, 2] = 255, 255
    return scores, labels


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_weighted_classes_beside_ignored_pixels(pair, avg_non_ignore):
    scores, labels = pair
    loss = CrossEntropyLoss(class_weight=WEIGHTS, avg_non_ignore=avg_non_ignore)
    expected = F.cross_entropy(scores, labels, torch.tensor(WEIGHTS).double(), ignore_index=255)
    assert loss(scores, labels, ignore_index=255).item() == pytest.approx(expected.item())
    # mmseg's own mean where a class is ignored: its weights count, or they do not.
    given = torch.tensor(WEIGHTS).double()[labels.clamp(max=3)]
    labels = labels.clamp(max=3)
    kept = F.cross_entropy(scores, labels, torch.tensor(WEIGHTS).double(), reduction='none')
    kept, weights = kept[labels != 1].sum(), given[labels != 1] if avg_non_ignore else given
    expected = kept / weights.sum()
    assert loss(scores, labels, ignore_index=1).item() == pytest.approx(expected.item())


def test_the_mean_of_what_is_not_ignored(pair):
    scores, labels = pair
    loss = CrossEntropyLoss(avg_non_ignore=True)(scores, labels, ignore_index=255)
    expected = F.cross_entropy(scores, labels, ignore_index=255)
    assert loss.item() == pytest.approx(expected.item())


@pytest.mark.parametrize('reduction', ['none', 'sum', 'mean'])
def test_focal_loss_of_classes_on_a_cpu(pair, reduction):
    scores, labels = pair
    loss = FocalLoss(gamma=2.0, alpha=0.25, reduction=reduction)(scores, labels, ignore_index=255)
    p, expected = scores.sigmoid(), torch.zeros_like(scores)
    for c in range(4):
        is_class = labels == c
        right = torch.where(is_class, p[:, c], 1 - p[:, c])
        alpha = torch.where(is_class, 0.25, 0.75)
        expected[:, c] = torch.where(labels == 255, 0, -alpha * (1 - right) ** 2 * right.log())
    if reduction != 'none':
        expected = getattr(expected, reduction)()
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    assert not scores.grad[0, :, 0].any() and scores.grad[0, :, 1].any()
