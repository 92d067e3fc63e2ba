"""Our optimiser wrapper beside MMEngine's: the same steps, without reading the norm."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper as MMEngineOptimWrapper
from torch import nn

from vitmm.engine import OptimWrapper
from vitmm.errors import ConfigError


def make(kind, model, **settings):
    return kind(optimizer=torch.optim.AdamW(model.parameters(), lr=0.1), **settings)


@pytest.mark.parametrize('settings', [{}, dict(clip_grad=dict(max_norm=0.01))])
@pytest.mark.parametrize('accumulate', [1, 2])
def test_steps_are_mmengines(settings, accumulate):
    ours, theirs = (nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 1)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    settings = dict(accumulative_counts=accumulate, **settings)
    wrappers = make(OptimWrapper, ours, **settings), make(MMEngineOptimWrapper, theirs, **settings)
    for wrapper, model in zip(wrappers, (ours, theirs), strict=True):
        wrapper.initialize_count_status(model, 0, 5)
        torch.manual_seed(0)
        for _ in range(5):  # the last is alone where two are one step
            with wrapper.optim_context(model):
                loss = model(torch.randn(4, 5)).square().mean()
            wrapper.update_params(loss)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_two_small_batches_are_a_large_one():
    models = [nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.Linear(5, 1)).double() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    images = torch.randn(6, 8, 5, dtype=torch.float64)
    for model, count in zip(models, (1, 2), strict=True):
        wrapper = make(
            OptimWrapper, model, accumulative_counts=count, clip_grad=dict(max_norm=0.01)
        )
        wrapper.initialize_count_status(model, 0, 6 * count)
        for batch in (part for image in images for part in image.chunk(count)):
            with wrapper.optim_context(model):
                loss = model(batch).square().mean()
            wrapper.update_params(loss)
    for a, b in zip(*(m.parameters() for m in models), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_norm_stays_a_tensor():
    model = nn.Linear(3, 1)
    wrapper = make(OptimWrapper, model, clip_grad=dict(max_norm=1e9))
    wrapper.update_params(model(torch.ones(1, 3)).sum() * 2)
    # The derivatives by three weights and the bias are all 2.
    torch.testing.assert_close(wrapper.grad_norm, torch.tensor(4.0))


def test_bfloat16_is_autocast():
    model = nn.Linear(3, 1)
    wrapper = make(OptimWrapper, model, dtype='bfloat16')
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 3)).dtype == torch.bfloat16
    assert model(torch.ones(1, 3)).dtype == torch.float32
    plain = copy.deepcopy(make(OptimWrapper, model))
    with plain.optim_context(model):
        assert model(torch.ones(1, 3)).dtype == torch.float32


def test_float16_is_refused():
    with pytest.raises(ConfigError, match='AmpOptimWrapper'):
        make(OptimWrapper, nn.Linear(1, 1), dtype='float16')
