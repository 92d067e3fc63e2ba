"""A training that goes on with other settings than it began with."""

import warnings
from copy import deepcopy
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner

from vitmm.errors import ConfigError

_PROGRESS = {'last_step', '_global_step', '_last_value', 'verbose'}  # of a schedule
_MACHINE = {'foreach', 'fused', 'capturable', 'differentiable'}  # of an optimiser, not its figures


class ResumedSettingsHook(Hook):
    """Let the config's rate, decay and schedule hold from where a checkpoint goes on.

    MMEngine takes them from the checkpoint: what was trained for 12 epochs and goes on to 24 would
    have a rate of nothing, and another rate in the config would be passed over without a word.
    Where they differ, the optimiser's settings are the config's, and its schedules are run through
    up to the present iteration; where they do not, nothing is touched. Schedules that hang on
    scores (ReduceOnPlateau) are the checkpoint's.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Note what the config says, before a checkpoint is loaded over it."""
        self._given = None
        if runner._resume and isinstance(runner.optim_wrapper, OptimWrapper):
            groups = [_settings(group) for group in runner.optim_wrapper.param_groups]
            schedules = [deepcopy(one.state_dict()) for one in runner.param_schedulers or []]
            self._given = groups, schedules

    def before_train(self, runner: Runner) -> None:
        """Compare, and mend.

        Raises:
            ConfigError: the checkpoint is of another optimiser, or beyond the end of the training.
        """
        loop = runner.train_loop
        if self._given is None or not loop.iter:
            return
        _refuse_what_is_over(runner)
        if isinstance(loop, EpochBasedTrainLoop):
            loop._iter = loop.epoch * len(loop.dataloader)  # of other batches there are others
        groups, schedules = self._given
        present = runner.optim_wrapper.param_groups
        pairs = zip(groups, present, strict=True)
        absent = {key for given, now in pairs for key in given.keys() - now}
        absent = {key for key in absent if not key.startswith('initial_')}  # of a schedule
        if absent:
            raise ConfigError(
                'optim_wrapper.optimizer: the checkpoint is of another optimiser than '
                f'{type(runner.optim_wrapper.optimizer).__name__}, without '
                f'{", ".join(sorted(absent))}: name the one that it was trained with, or begin '
                'anew from its weights alone (load_from=CHECKPOINT instead of --resume).'
            )
        names = {one['param_name'] for one in schedules}
        steps = runner.param_schedulers or []
        if any(getattr(one, 'need_val_args', False) for one in steps):
            return
        same = all(
            _constant(given, names) == _constant(_settings(now), names)
            for given, now in zip(groups, present, strict=True)
        ) and all(
            _constant(given, _PROGRESS) == _constant(now.state_dict(), _PROGRESS)
            and now._global_step == (runner.epoch if now.by_epoch else runner.iter)
            for given, now in zip(schedules, steps, strict=True)
        )
        if same:
            return
        before = present[0]['lr']
        for given, now in zip(groups, present, strict=True):
            for key in now.keys() - given.keys() - _MACHINE - {'params'}:
                del now[key]
            now.update(deepcopy(given))
        for given, now in zip(schedules, steps, strict=True):
            optimizer = now.optimizer
            now.__dict__.clear()
            now.__dict__.update(deepcopy(given), optimizer=optimizer)
        _run_through(runner, steps)
        runner.logger.warning(
            "The checkpoint's settings of the optimiser or its schedule are not the config's. From "
            f"here on the config's hold: the rate goes on at {present[0]['lr']:.4g}, not at "
            f'{before:.4g}.'
        )


def _refuse_what_is_over(runner: Runner) -> None:
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        kind, done, length = 'epochs', runner.epoch, runner.max_epochs
    else:
        kind, done, length = 'iters', runner.iter, runner.max_iters
    if done > length:
        raise ConfigError(
            f'train_cfg.max_{kind}={length}, and the checkpoint has had {done}: nothing is left to '
            f'train. Set max_{kind} above {done}.'
        )


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {k: deepcopy(v) for k, v in group.items() if k != 'params' and k not in _MACHINE}


def _constant(settings: dict[str, Any], others: set[str]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in others}


def _run_through(runner: Runner, schedules: list[_ParamScheduler]) -> None:
    """Step schedules from their beginning to the present iteration, as ParamSchedulerHook does."""
    loop = runner.train_loop
    length = len(loop.dataloader) if isinstance(loop, EpochBasedTrainLoop) else 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that no optimiser steps between
        for iteration in range(1, runner.iter + 1):
            for one in schedules:
                if not one.by_epoch:
                    one.step()
            for one in schedules if length and iteration % length == 0 else ():
                if one.by_epoch:
                    one.step()
