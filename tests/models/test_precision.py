"""Losses in float32 under autocast."""

import copy

import pytest
import torch
from mmengine.runner import autocast
from torch import nn

from vitmm.models.precision import use_full_precision_in_losses


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)
        self.types = []

    def forward(self, x):
        return self.loss_by_feat([self.layer(x)], scale=torch.ones(1, dtype=torch.bfloat16))

    def loss_by_feat(self, scores, scale):
        self.types += [scores[0].dtype, scale.dtype, (scores[0] @ scores[0].mT).dtype]
        return scores[0].exp().sum()


@pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)])
def test_what_goes_into_a_loss_is_widened_and_stays_wide(device):
    head, x = Head().to(device), torch.randn(3, 8, device=device)
    with autocast(device_type=device, dtype=torch.bfloat16):
        head(x)
        assert head.types[0] == head.types[2] == torch.bfloat16  # or there is nothing to mend
    use_full_precision_in_losses(head)
    head.types.clear()
    with autocast(device_type=device, dtype=torch.bfloat16):
        loss = head(x)
    assert head.types == [torch.float32] * 3
    loss.backward()
    assert head.layer.weight.grad.dtype == torch.float32


def test_what_is_not_a_tensor_stays():
    """mmseg's windows that slide over an image tell their size so (torch.Size, not a tuple)."""
    head = Head()
    given = [{'img_shape': torch.Size([2, 3]), 'pad_shape': (4, 5), 'flip': None}]
    told = []
    head.predict_by_feat = lambda scores, metas: told.append(metas)
    use_full_precision_in_losses(head)
    head.predict_by_feat(torch.ones(1), given)
    assert told == [given]
    assert type(told[0][0]['img_shape']) is torch.Size


def test_a_copy_calls_its_own():
    head = Head()
    use_full_precision_in_losses(head)
    twin = copy.deepcopy(head)
    twin(torch.randn(3, 8))
    assert twin.types and not head.types
