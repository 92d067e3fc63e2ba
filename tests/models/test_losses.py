import pytest
import torch
from mmpretrain.models.losses import CrossEntropyLoss as HardLoss
from mmpretrain.models.losses import LabelSmoothLoss

from vitmm.models import CrossEntropyLoss


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
@pytest.mark.parametrize('mixed', [False, True])
def test_it_is_mmpretrains(smoothing, mixed):
    torch.manual_seed(0)
    scores = 3 * torch.randn(6, 5)
    labels = torch.rand(6, 5).softmax(1) if mixed else torch.randint(5, (6,))
    ours = CrossEntropyLoss(smoothing, loss_weight=2.0)(scores, labels, avg_factor=4)
    theirs = LabelSmoothLoss(smoothing, loss_weight=2.0)(scores, labels, avg_factor=4)
    torch.testing.assert_close(ours, theirs)


def test_it_is_the_mean_without_a_factor():
    scores, labels = torch.randn(6, 5), torch.randint(5, (6,))
    torch.testing.assert_close(CrossEntropyLoss()(scores, labels), HardLoss()(scores, labels))
