"""One architecture of every model file of timm, through everything that a backbone does."""

import math

import pytest
import timm
import torch
from families import FAMILIES, cut_short
from mmengine.optim import build_optim_wrapper
from timm.models import model_entrypoint
from torch import nn

from vitmm.meta import RememberedShapes
from vitmm.models import FeaturePyramid, TimmBackbone
from vitmm.models.backbones.twin import skip_steps

STRIDES = (4, 8, 16, 32)


def model_file(name):
    return model_entrypoint(name).__module__


def test_every_model_file_is_here():
    missing = {model_file(n) for n in timm.list_models()} - {model_file(n) for n in FAMILIES}
    assert not missing


def check_sizes(name):
    """Maps of the promised sizes behind the neck, in one instance."""
    with torch.device('meta'):
        backbone = TimmBackbone(name).eval()
        neck = FeaturePyramid(backbone.channels, backbone.strides)
    skip_steps(backbone.model)
    native = backbone.canvas.native
    for height, width in (native, (224, 352), (250, 333), (2 * native[0], 640)):
        with torch.no_grad(), RememberedShapes():  # in a third of the time
            maps = backbone(torch.empty(2, 3, height, width, device='meta'))
            levels = neck(maps)
        for m, c, s in zip(maps, backbone.channels, backbone.strides, strict=True):
            assert m.shape == (2, c, math.ceil(height / s), math.ceil(width / s))
        for m, c, s in zip(levels, backbone.channels, STRIDES, strict=True):
            assert m.shape == (2, c, math.ceil(height / s), math.ceil(width / s))


def check_truth(name):
    """At the native size: timm's own maps, of timm's own weights."""
    torch.manual_seed(0)
    settings = cut_short(name)
    whole = timm.create_model(name, **settings).eval()
    backbone = TimmBackbone(name, model_kwargs=settings).eval()
    # No key that timm lacks, and none that is missing: a timm checkpoint loads as it is.
    own = whole.state_dict()
    unused = {key.removeprefix('model.') for key in backbone._unused}
    wanted = [key for key in backbone.model.state_dict() if key not in unused]
    missing = backbone.model.load_state_dict({key: own[key] for key in wanted}, strict=False)
    assert set(missing.missing_keys) == unused & own.keys()
    images = torch.randn(1, 3, *backbone.canvas.native)
    with torch.no_grad():
        ours = backbone(images)
        taps = sorted({backbone._indices[i] for i in backbone._positions})
        theirs = whole.forward_intermediates(images, indices=taps, intermediates_only=True)
    theirs = [theirs[i] for i in backbone._positions]
    for mine, other in zip(ours, theirs, strict=True):
        # Convolutions without padding lose cells all round; the map has them repeated.
        top, left = (
            max(m - o, 0) // 2 for m, o in zip(mine.shape[2:], other.shape[2:], strict=True)
        )
        inner = mine[..., top : top + other.shape[2], left : left + other.shape[3]]
        torch.testing.assert_close(inner, other, atol=1e-5, rtol=1e-5)
    return backbone


def check_gradients(backbone, device):
    """Every parameter that learns gets a gradient; what cannot is frozen, and hardly anything."""
    backbone.train()
    size = backbone.canvas.minimum
    images = torch.randn(2, 3, *size, device=device)
    sum(m.square().mean() for m in backbone(images)).backward()
    learning = {n: p for n, p in backbone.named_parameters() if p.requires_grad}
    assert not [n for n, p in learning.items() if p.grad is None]
    every = sum(p.numel() for p in backbone.parameters())
    assert sum(p.numel() for p in learning.values()) > 0.95 * every


def check_layer_decay(backbone):
    model = nn.Module()
    model.backbone, model.head = backbone, nn.Linear(2, 2)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            constructor='vitmm.LayerDecayConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
            paramwise_cfg=dict(layer_decay=0.5),
        ),
    )
    rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
    assert rates[id(model.head.weight)] == 1
    first = next(p for p in backbone.model.parameters() if p.requires_grad)
    depths = backbone.layer_depths()
    assert set(depths.values()) == set(range(max(depths.values()) + 1))
    assert max(depths.values()) >= 2
    assert rates[id(first)] <= min(1, *rates.values()) * 2  # the stem, or a token beside it


def check_freezing(name, backbone):
    backbone.freeze(2)
    frozen = {n for n, p in backbone.model.named_parameters() if not p.requires_grad}
    expected = {n for n, depth in backbone.layer_depths().items() if depth < 2}
    assert expected <= frozen
    assert len(frozen - expected) <= 5  # what only the classifier reads
    backbone.train()
    before = {k: v.clone() for k, v in backbone.model.named_buffers()}
    backbone.freeze('all')
    backbone(torch.randn(2, 3, *backbone.canvas.minimum))
    for key, value in backbone.model.named_buffers():
        assert torch.equal(value, before[key]), f'{name}: {key} moved in a frozen model'


@pytest.mark.parametrize('name', FAMILIES)
def test_family(name):
    check_sizes(name)
    backbone = check_truth(name)
    check_gradients(backbone, 'cpu')
    check_layer_decay(backbone)
    check_freezing(name, backbone)


@pytest.mark.slow
@pytest.mark.parametrize('name', timm.list_models())
def test_every_architecture(name):
    check_sizes(name)
    with torch.device('meta'):
        backbone = TimmBackbone(name)
    skip_steps(backbone.model)
    check_gradients(backbone, 'meta')
    check_layer_decay(backbone)
    depths = backbone.layer_depths()
    for groups in (1, max(depths.values()) + 1, 'all'):
        backbone.freeze(groups, norms=True)
    assert not any(p.requires_grad for p in backbone.parameters())
