"""Compiled blocks: the same maps at every size, and few graphs for all sizes."""

import logging
import shutil
from types import SimpleNamespace

import pytest
import torch
import torch._dynamo
import torch.fx.experimental._config
from torch import nn
from torch._dynamo.utils import counters

from vitmm.engine import CompileHook
from vitmm.engine.hooks.compile import RECOMPILE_LIMIT
from vitmm.models import TimmBackbone
from vitmm.models.backbones.regions import steady_regions

SIZES = [(224, 224), (256, 320), (200, 300), (96, 352)]


@pytest.fixture(autouse=True)
def enough_graphs():
    torch._dynamo.reset()
    counters.clear()
    with (
        torch._dynamo.config.patch({RECOMPILE_LIMIT: 8}),
        torch.fx.experimental._config.patch(use_duck_shape=True),
    ):  # the hook's changes of both end with the test
        yield
    torch._dynamo.reset()


def pair(name, **settings):
    """A backbone, and the same one compiled; without dropout, and with norms at rest."""
    settings.setdefault('drop_path_rate', 0.0)
    plain, compiled = TimmBackbone(name, **settings).eval(), TimmBackbone(name, **settings).eval()
    compiled.load_state_dict(plain.state_dict())
    model, told = nn.Module(), []
    model.backbone = compiled
    log = SimpleNamespace(info=told.append)
    CompileHook('eager').before_run(SimpleNamespace(model=model, logger=log))
    count = int(told[0].split()[1])
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    return plain, compiled, count


@pytest.mark.parametrize(
    'name, settings, limit',
    [
        ('vit_tiny_patch16_224', dict(model_kwargs=dict(depth=3)), 1),
        ('vit_tiny_patch16_224', dict(model_kwargs=dict(depth=3), window_size=5), 1),
        ('convnext_atto', {}, 5),
        ('resnet18', {}, 7),
        ('swin_tiny_patch4_window7_224', dict(model_kwargs=dict(depths=(2, 2, 2, 2))), 12),
    ],
)
def test_the_same_maps_and_gradients_from_few_graphs(name, settings, limit):
    plain, compiled, count = pair(name, **settings)
    assert count >= 3
    seen = []
    for size in SIZES:
        images = torch.randn(2, 3, *size)
        outs = [backbone(images) for backbone in (plain, compiled)]
        for expected, found in zip(*outs, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        for backbone, maps in zip((plain, compiled), outs, strict=True):
            backbone.zero_grad()
            sum(m.square().mean() for m in maps).backward()
        for expected, found in zip(plain.parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(found.grad, expected.grad, atol=1e-5, rtol=1e-3)
        seen.append(counters['stats']['unique_graphs'])
    assert 1 <= seen[-1] <= limit
    assert not any(RECOMPILE_LIMIT in reason for reason in counters['unimplemented'])


@pytest.mark.slow  # a C++ compiler runs for a minute
@pytest.mark.skipif(not any(map(shutil.which, ('g++', 'clang++'))), reason='no C++ compiler')
def test_inductor_takes_convolutions_at_all_sizes():
    # With its layout optimisation, inductor of torch 2.14 compares symbolic strides, and fails.
    small = dict(model_kwargs=dict(depths=(1, 1, 2, 1)), drop_path_rate=0.0)
    plain, compiled = (TimmBackbone('convnext_atto', **small).eval() for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    model = nn.Module()
    model.backbone = compiled
    CompileHook().before_run(SimpleNamespace(model=model, logger=logging.getLogger()))
    for size in ((64, 64), (96, 128)):
        images = torch.randn(2, 3, *size)
        maps = compiled(images)
        for found, expected in zip(maps, plain(images), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        sum(m.mean() for m in maps).backward()


def test_whole_blocks_where_they_are_the_same_at_every_size():
    assert steady_regions('vit_tiny_patch16_224') == {f'blocks.{i}' for i in range(12)}


def test_parts_of_blocks_that_pad_and_shift():
    names = steady_regions('swin_tiny_patch4_window7_224')
    assert 'layers.0.blocks.1.attn' in names and 'layers.3.blocks.0.mlp' in names
    assert all(name.endswith(('attn', 'mlp')) for name in names)


def test_compiled_blocks_with_checkpointing():
    plain, _, _ = pair('vit_tiny_patch16_224', model_kwargs=dict(depth=2))
    saving = TimmBackbone(
        'vit_tiny_patch16_224', model_kwargs=dict(depth=2), grad_checkpointing=True
    )
    saving.load_state_dict(plain.state_dict())
    saving.compile_blocks(backend='eager')
    images = torch.randn(1, 3, 64, 96)
    for backbone in (plain, saving.train()):
        backbone(images)[-1].square().mean().backward()
    for expected, found in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-5, rtol=1e-3)
