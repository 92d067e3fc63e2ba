"""Batch norms under --channels-last have the gradients of double precision."""

import copy

import pytest
import torch
from torch import nn

from vitmm.engine.hooks.channels_last import normalise_by_planes


def gradients(model, maps, wanted, dtype=torch.float32):
    """Of the norm's weights and of the maps, as convolutions around it hand them over."""
    layout = torch.contiguous_format if dtype == torch.float64 else torch.channels_last
    model = copy.deepcopy(model).to(dtype)
    maps = maps.to(dtype).contiguous(memory_format=layout).requires_grad_()
    model(maps).backward(wanted.to(dtype).contiguous(memory_format=layout))
    return [one.double() for one in (maps.grad, model[0].weight.grad, model[0].bias.grad)]


@pytest.mark.parametrize('follows', [nn.Identity(), nn.ReLU(inplace=True)])
def test_gradients_are_those_of_double_precision(follows):
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(64), follows)
    maps = 2 + 0.3 * torch.randn(8, 64, 56, 56)
    wanted = 0.5 + torch.randn(8, 64, 56, 56)
    expected = gradients(model, maps, wanted, torch.float64)
    stock = gradients(model, maps, wanted)
    normalise_by_planes(model)
    normalise_by_planes(model)  # twice is once
    found = gradients(model, maps, wanted)
    errors = [
        [
            float((one - other).norm() / other.norm())
            for one, other in zip(kind, expected, strict=True)
        ]
        for kind in (stock, found)
    ]
    assert max(errors[0]) > 5 * max(errors[1])  # or there is nothing to mend
    assert max(errors[1]) < 2e-5, errors


def test_predictions_are_torchs():
    norm = nn.BatchNorm2d(4)
    maps = torch.rand(2, 4, 5, 6)
    expected = copy.deepcopy(norm).eval()(maps)
    normalise_by_planes(norm)
    assert torch.equal(norm.eval()(maps), expected)
