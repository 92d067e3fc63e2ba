"""Trainings go on with and without --channels-last, whichever way they began."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from support import CONFIGS, SMALL_CLASSIFIER
from torch import nn

from vitmm.apis.train import train
from vitmm.engine.hooks.state_layout import StateLayoutHook

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def convolutions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 4, 3, padding=1))
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True, amsgrad=True)


def step(model, optimizer, count):
    torch.manual_seed(1)
    images, wanted = torch.randn(2, 8, 16, 16), torch.randn(2, 4, 16, 16)
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = (model(images) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize('many', [False, True])
@pytest.mark.parametrize('first', LAYOUTS)
@pytest.mark.parametrize('then', LAYOUTS)
def test_losses_are_those_of_a_run_that_was_not_stopped(first, then, many):
    model, optimizer = convolutions()
    model.to(memory_format=first)
    step(model, optimizer, 20)
    stored = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    expected = step(model, optimizer, 8)

    model, optimizer = convolutions()
    model.load_state_dict(stored[0])
    optimizer.load_state_dict(stored[1])
    model.to(memory_format=then)
    wrapper = OptimWrapper(optimizer)
    wrapper = OptimWrapperDict(one=wrapper) if many else wrapper
    StateLayoutHook().before_train(SimpleNamespace(optim_wrapper=wrapper))
    assert step(model, optimizer, 8) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('first', [False, True])
def test_resumed_trainings(first, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL_CLASSIFIER, 'default_hooks.checkpoint.interval': 1}
    config = CONFIGS / 'cls/vit_linear.py'
    train(config, work_dir=tmp_path, options=options, channels_last=first)
    stored = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['optimizer']['state']
    strides = {v['exp_avg'].stride() for v in stored.values()}
    options['train_cfg.max_epochs'] = 2
    runner = train(
        config,
        work_dir=tmp_path,
        options=options,
        channels_last=not first,
        resume=str(tmp_path / 'epoch_1.pth'),
    )
    assert runner.epoch == 2
    state = runner.optim_wrapper.optimizer.state
    maps = [p for p in state if p.dim() == 4]
    assert maps and all(p.is_contiguous(memory_format=LAYOUTS[not first]) for p in maps)
    assert {p.stride() for p in maps} - strides  # the stored state lay in another way
    for parameter, values in state.items():
        assert values['exp_avg'].stride() == values['exp_avg_sq'].stride() == parameter.stride()
