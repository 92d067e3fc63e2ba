"""Focal loss against the formula of its paper, through autograd."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss
from torch.autograd import gradcheck

GAMMA, ALPHA = 2.0, 0.25


def scores_and_targets(background):
    scores = torch.randn(12, 4, dtype=torch.float64) * 3
    return scores, torch.randint(0, 5 if background else 4, (12,))


def by_sigmoid(scores, target, weight=None):
    one_hot = F.one_hot(target, scores.shape[1] + 1)[:, :-1].to(scores.dtype)
    p = scores.sigmoid()
    p_t = p * one_hot + (1 - p) * (1 - one_hot)
    alpha_t = ALPHA * one_hot + (1 - ALPHA) * (1 - one_hot)
    loss = -alpha_t * (1 - p_t) ** GAMMA * p_t.log()
    return loss if weight is None else loss * weight[target][:, None]


def by_softmax(scores, target, weight=None):
    log_p = scores.log_softmax(1).gather(1, target[:, None])[:, 0]
    loss = -ALPHA * (1 - log_p.exp()) ** GAMMA * log_p
    return loss if weight is None else loss * weight[target]


@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize(
    ('ours', 'formula'), [(sigmoid_focal_loss, by_sigmoid), (softmax_focal_loss, by_softmax)]
)
def test_focal_loss_and_gradient(device, ours, formula, weighted, reduction):
    background = ours is sigmoid_focal_loss and not weighted
    scores, target = scores_and_targets(background)
    weight = torch.rand(4, dtype=torch.float64) if weighted else None
    mine = scores.clone().to(device).requires_grad_()
    loss = ours(
        mine, target.to(device), GAMMA, ALPHA, weight.to(device) if weighted else None, reduction
    )
    theirs = scores.clone().requires_grad_()
    expected = formula(theirs, target, weight)
    if reduction != 'none':
        expected = expected.sum() / (len(scores) if reduction == 'mean' else 1)
    torch.testing.assert_close(loss.cpu(), expected)
    if ours is softmax_focal_loss and reduction == 'none':
        return  # mmcv's own wrapper has no backward for it
    loss.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(mine.grad.cpu(), theirs.grad)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize('ours', [sigmoid_focal_loss, softmax_focal_loss])
def test_focal_loss_gradcheck(device, ours, gamma):
    scores, target = (t.to(device) for t in scores_and_targets(False))
    assert gradcheck(lambda x: ours(x, target, gamma, ALPHA, None, 'sum'), scores.requires_grad_())


@pytest.mark.parametrize('ours', [sigmoid_focal_loss, softmax_focal_loss])
def test_focal_loss_of_extreme_scores_is_finite(ours):
    scores = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    loss = ours(scores, torch.tensor([0, 0]), GAMMA, ALPHA, None, 'sum')
    loss.backward()
    assert loss.isfinite() and scores.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ('ours', 'formula'), [(sigmoid_focal_loss, by_sigmoid), (softmax_focal_loss, by_softmax)]
)
def test_focal_loss_in_few_bits(device, dtype, ours, formula):
    scores, target = scores_and_targets(False)
    few = scores.to(dtype)
    mine = few.clone().to(device).requires_grad_()
    ours(mine, target.to(device), GAMMA, ALPHA, None, 'mean').backward()
    assert mine.grad.dtype == dtype and mine.grad.any()
    loss = ours(mine, target.to(device), GAMMA, ALPHA, None, 'none')
    assert loss.dtype == dtype
    tolerance = dict(rtol=0.05, atol=0.02)
    torch.testing.assert_close(loss.cpu().double(), formula(few.double(), target), **tolerance)
