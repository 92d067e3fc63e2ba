"""The peak of live bytes is what a count by hand gives."""

import live_bytes
import pytest
import torch
from torch.nn import functional as F

from vitmm.models import TimmBackbone

MIB = 2**20


def test_what_is_freed_no_longer_counts():
    x = torch.ones(MIB // 4)

    def three_at_most():
        a = x + 1
        b = torch.cat([a, a])
        del a
        b = b[0] * 2
        return x + b

    assert live_bytes.peak(three_at_most) // MIB == 3


def test_what_is_kept_for_the_backward_pass_counts():
    weight = torch.ones(MIB // 4, requires_grad=True)
    weight.grad = torch.ones_like(weight)
    # The results of exp and of tanh, and one gradient.
    assert live_bytes.peak(lambda: weight.exp().tanh().sum().backward()) // MIB == 3
    with torch.no_grad():
        assert live_bytes.peak(lambda: F.relu(weight).sum()) // MIB == 1


def backbone_peak(name, grad, **settings):
    torch.manual_seed(0)
    small = dict(depth=2, embed_dim=48, num_heads=3)
    backbone = TimmBackbone(name, model_kwargs=small, **settings).train()
    for parameter in backbone.parameters():
        parameter.grad = torch.ones_like(parameter)
    images = torch.randn(1, 3, 256, 256)
    if grad:
        return live_bytes.peak(lambda: sum(m.mean() for m in backbone(images)).backward())
    with torch.no_grad():
        return live_bytes.peak(lambda: backbone(images))


def test_windows_cost_their_prefix_tokens_at_the_peak_too():
    name = 'vit_base_patch16_224'
    more = backbone_peak(name, True, window_size=8, global_blocks=0) - backbone_peak(name, True)
    scalars = 2 * 8  # by which a mean was multiplied
    assert more == 2 * (4 - 1) * (5 * 48 + 3) * 4 + scalars


@pytest.mark.parametrize('name', ['vit_base_patch16_224', 'vit_small_patch16_dinov3'])
def test_windows_cost_nothing_without_gradients(name):
    assert backbone_peak(name, False, window_size=8, global_blocks=0) <= backbone_peak(name, False)
