"""Batch norms of several processes have one set of statistics when they are measured or saved."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from vitmm.engine.hooks import sync_statistics
from vitmm.engine.hooks.sync_statistics import SyncStatisticsHook


def model():
    return nn.Sequential(
        nn.BatchNorm2d(2), nn.SyncBatchNorm(2), nn.GroupNorm(1, 2),
        nn.BatchNorm1d(2, track_running_stats=False),
    )  # fmt: skip


@pytest.fixture
def averaged(monkeypatch):
    """Of another process all statistics are larger by two."""

    def all_reduce_params(tensors, op):
        assert op == 'mean'
        for tensor in tensors:
            tensor += 1

    monkeypatch.setattr(sync_statistics, 'all_reduce_params', all_reduce_params)


def values(one):
    return [
        one[0].running_mean[0].item(),
        one[0].running_var[0].item(),
        one[1].running_mean[0].item(),
    ]


@pytest.mark.usefixtures('averaged')
def test_what_is_averaged():
    average = object.__new__(EMAHook)
    average.ema_model = model()
    runner = SimpleNamespace(model=model(), hooks=[average])
    before = copy.deepcopy(runner.model.state_dict())
    SyncStatisticsHook().after_train_epoch(runner)
    assert values(runner.model) == values(average.ema_model) == [1, 2, 0]
    changed = [n for n, v in runner.model.state_dict().items() if not torch.equal(v, before[n])]
    assert changed == ['0.running_mean', '0.running_var']


@pytest.mark.usefixtures('averaged')
@pytest.mark.parametrize(
    ('iteration', 'due'), [(1, False), (3, True), (4, True), (6, True), (7, True), (5, False)]
)
def test_when_iterations_are_counted(iteration, due):
    loop = object.__new__(IterBasedTrainLoop)
    loop.val_interval = 3
    runner = SimpleNamespace(
        model=model(), hooks=[CheckpointHook(interval=4, by_epoch=False)], train_loop=loop,
        iter=iteration - 1, max_iters=7,
    )  # fmt: skip
    SyncStatisticsHook().after_train_iter(runner)
    assert values(runner.model) == ([1, 2, 0] if due else [0, 1, 0])
    runner.train_loop = None  # epochs
    SyncStatisticsHook().after_train_iter(runner)
    assert values(runner.model) == ([1, 2, 0] if due else [0, 1, 0])
