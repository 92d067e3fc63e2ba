"""Losses in float32 under autocast."""

import copy

import pytest
import torch
from mmengine.runner import autocast
from torch import nn

from vitmm.models.halts import avoid_halts
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


@pytest.mark.parametrize('halts', [False, True])
def test_regions_are_not_rounded(halts):
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    extractor = SingleRoIExtractor(
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
        out_channels=2,
        featmap_strides=[4, 8],
    )
    maps = [torch.rand(1, 2, 1024 // stride, 1024 // stride) for stride in (4, 8)]
    maps = [one.bfloat16() for one in maps]
    rois = torch.tensor([[0, 901.7, 903.3, 911.7, 913.3], [0, 101.1, 503.3, 391.7, 613.3]])
    expected = extractor([one.float() for one in maps], rois)
    if halts:
        avoid_halts(extractor)
    use_full_precision_in_losses(extractor)
    with autocast(device_type='cpu', dtype=torch.bfloat16):
        found = extractor(maps, rois)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_a_copy_calls_its_own():
    head = Head()
    use_full_precision_in_losses(head)
    twin = copy.deepcopy(head)
    twin(torch.randn(3, 8))
    assert twin.types and not head.types
