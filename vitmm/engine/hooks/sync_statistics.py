"""Batch norms of several processes: one set of statistics where they are measured and saved."""

from collections.abc import Iterator

import torch
from mmengine.dist import all_reduce_params
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class SyncStatisticsHook(Hook):
    """Average running means and variances over the processes, before validations and checkpoints.

    Each process has those of its own images. MMEngine validates every part of the data with another
    one's, and saves the first's: the score, by which the best is chosen, is not the checkpoint's.
    (Its ``SyncBuffersHook`` averages all buffers, after the checkpoint.)
    """

    priority = 'LOW'  # after averaged weights are updated, before checkpoints

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Where iterations are counted: at each that a validation or a checkpoint follows."""
        if isinstance(runner.train_loop, IterBasedTrainLoop) and self._is_due(runner):
            _average(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Where epochs are."""
        _average(runner)

    def _is_due(self, runner: Runner) -> bool:
        intervals = [runner.train_loop.val_interval]
        intervals += [h.interval for h in runner.hooks if isinstance(h, CheckpointHook)]
        return runner.iter + 1 == runner.max_iters or any(
            self.every_n_train_iters(runner, interval) for interval in intervals
        )


def _average(runner: Runner) -> None:
    models = [runner.model, *(h.ema_model for h in runner.hooks if isinstance(h, EMAHook))]
    statistics = [one for model in models for one in _statistics(model)]
    if statistics:
        all_reduce_params(statistics, op='mean')


def _statistics(model: nn.Module) -> Iterator[torch.Tensor]:
    for module in model.modules():
        own = isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm)
        if own and module.running_mean is not None:
            yield from (module.running_mean, module.running_var)
