"""Batch norms of timm over several processes: MMEngine converts them, timm says what they are."""

import copy

import pytest
import timm
import torch
from mmengine.model import convert_sync_batchnorm
from torch import nn

from vitmm.models import TimmBackbone

# Without activations and with them, and behind others' names.
NAMES = ('resnet18', 'test_efficientnet', 'regnetx_002', 'densenet121', 'mobilenetv3_small_050')


@pytest.mark.usefixtures('one_process')
@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('implementation', ['torch', 'mmcv'])
@torch.no_grad()
def test_maps_stay_the_same(name, implementation):
    torch.manual_seed(0)
    backbone = TimmBackbone(name).eval()
    for norm in backbone.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_var.uniform_(0.5, 2)
    images = torch.randn(1, 3, 64, 64)
    expected = backbone(images)
    keys = list(backbone.state_dict())
    converted = backbone
    for _ in range(2):  # MMEngine converts again whenever the model is wrapped anew
        converted = convert_sync_batchnorm(converted, implementation)
        assert not any(type(m) is nn.BatchNorm2d for m in converted.modules())
        assert list(converted.state_dict()) == keys
        for found, wanted in zip(converted(images), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
def test_timm_makes_the_same_of_them(name):
    model = timm.create_model(name)
    ours = convert_sync_batchnorm(copy.deepcopy(model))
    theirs = timm.layers.convert_sync_batchnorm(model)
    kinds = [[(n, type(m)) for n, m in one.named_modules()] for one in (ours, theirs)]
    assert kinds[0] == kinds[1]
    assert any('Sync' in kind.__name__ for _, kind in kinds[0])


@pytest.mark.parametrize(
    'frozen',
    [dict(frozen_norms=True), dict(frozen_groups=2), dict(frozen_groups='all'), {}],
)
def test_what_is_frozen_rests(frozen):
    backbone = TimmBackbone('resnet18', **frozen).train()
    modes = {name: module.training for name, module in backbone.named_modules()}
    converted = convert_sync_batchnorm(backbone)
    assert {n: m.training for n, m in converted.named_modules()} == modes
    converted.eval()
    converted.train()
    assert {n: m.training for n, m in converted.named_modules()} == modes
    norms = [m for m in converted.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert any(not m.training for m in norms) is bool(frozen)
    converted.freeze(0)
    converted.train()
    assert all(m.training for m in norms)
