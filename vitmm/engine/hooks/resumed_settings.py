"""A training that goes on with other settings than it began with."""

import inspect
import warnings
from copy import deepcopy
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook, ParamSchedulerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIMIZERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from tqdm import tqdm

from vitmm.config.stored import read_stored
from vitmm.errors import ConfigError

_PROGRESS = {'last_step', '_global_step', '_last_value', 'verbose'}  # of a schedule
_MACHINE = {'params', 'foreach', 'fused', 'capturable', 'differentiable'}  # no settings of it


class ResumedSettingsHook(Hook):
    """Let the config's rate, decay and schedule hold from where a checkpoint goes on.

    MMEngine takes them from the checkpoint: what was trained for 12 epochs and goes on to 24 would
    have a rate of nothing, and another rate in the config would be passed over without a word.
    Where they differ, the optimiser's settings are the config's, and its schedules are run through
    up to the present iteration; where they do not, nothing is touched. Schedules that hang on
    scores (ReduceOnPlateau), and several optimisers, go on as the checkpoint has them.
    """

    priority = 'VERY_HIGH'

    _given: tuple[list[dict], list[dict]] | None = None  # settings by group, schedules
    _stored: list[dict] | None = None  # the checkpoint's schedules

    def before_run(self, runner: Runner) -> None:
        """Note what the config says, before a checkpoint is loaded over it."""
        wrapper, schedules = runner.optim_wrapper, runner.param_schedulers or []
        self._given = self._stored = None
        several = isinstance(wrapper, OptimWrapperDict) or not isinstance(wrapper, OptimWrapper)
        by_score = not several and any(getattr(one, 'need_val_args', False) for one in schedules)
        if runner._resume and not several and not by_score:
            groups = [_settings(wrapper, group) for group in wrapper.param_groups]
            self._given = groups, [deepcopy(one.state_dict()) for one in schedules]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note the checkpoint's schedules.

        Raises:
            ConfigError: it was trained with another optimiser.
        """
        if self._given is None:
            return
        self._stored = checkpoint.get('param_schedulers')
        now = type(runner.optim_wrapper.optimizer)
        before = _optimizer_of(checkpoint)
        if 'optimizer' in checkpoint and before and before not in (now, now.__name__):
            name = getattr(before, '__name__', before)
            raise ConfigError(
                f'optim_wrapper.optimizer: the checkpoint is of another optimiser, {name}, than '
                f'{now.__name__}: name that one, or begin anew from its weights alone '
                '(load_from=CHECKPOINT instead of --resume).'
            )

    def before_train(self, runner: Runner) -> None:
        """Compare, and mend.

        Raises:
            ConfigError: the checkpoint is beyond the end of the training.
        """
        loop, wrapper = runner.train_loop, runner.optim_wrapper
        if self._given is None or not loop.iter:
            return
        _refuse_what_is_over(runner)
        if isinstance(loop, EpochBasedTrainLoop):  # of other batches an epoch has others
            loop._iter = loop.epoch * len(loop.dataloader)
            wrapper.initialize_count_status(runner.model, loop.iter, loop.max_iters)
        groups, given = self._given
        schedules = runner.param_schedulers or []
        scheduled = {one['param_name'] for one in given}
        changed = [_but(one, scheduled) for one in groups] != [
            _but(_settings(wrapper, group), scheduled) for group in wrapper.param_groups
        ]
        changed |= self._stored is not None and (
            [_but(one, _PROGRESS) for one in given] != [_but(s, _PROGRESS) for s in self._stored]
        )
        moved = any(
            one._global_step != (runner.epoch if one.by_epoch else runner.iter) for one in schedules
        )
        if not changed and not moved:
            return
        before = wrapper.param_groups[0]['lr']
        for settings, group in zip(groups, wrapper.param_groups, strict=True):
            for key in _settings(wrapper, group).keys() - settings.keys():
                del group[key]  # 'initial_lr', of a schedule that is no more
            group.update(deepcopy(settings))
        for state, one in zip(given, schedules, strict=True):
            optimizer = one.optimizer
            one.__dict__.clear()
            one.__dict__.update(deepcopy(state), optimizer=optimizer)
        _run_through(runner)
        rate = wrapper.param_groups[0]['lr']
        if changed:
            runner.logger.warning(
                "The checkpoint's settings of the optimiser or its schedule are not the config's. "
                f"From here on the config's hold: the rate goes on at {rate:.4g}, not at "
                f'{before:.4g}.'
            )
        else:
            runner.logger.info(
                f'The schedule goes on at iteration {loop.iter}, a rate of {rate:.4g}.'
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


def _settings(wrapper: OptimWrapper, group: dict[str, Any]) -> dict[str, Any]:
    """What the config says of a group; some optimisers keep counts there as well."""
    optimizer = wrapper.optimizer
    named = {*inspect.signature(type(optimizer)).parameters, *optimizer.defaults} - _MACHINE
    return {k: deepcopy(v) for k, v in group.items() if k in named or k.startswith('initial_')}


def _but(settings: dict[str, Any], others: set[str]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in others}


def _optimizer_of(checkpoint: dict) -> type | str | None:
    """The optimiser's class, or its name, as the stored config has it; None where none tells."""
    try:
        wrapper = read_stored(checkpoint['meta']['cfg'])['optim_wrapper']
        kind = wrapper['optimizer']['type']
        # torch's Adafactor is registered as TorchAdafactor, bitsandbytes' AdamW as bnb_AdamW.
        return OPTIMIZERS.get(kind) or kind.split('.')[-1]
    except (ConfigError, KeyError, TypeError, AttributeError):
        return None


def _run_through(runner: Runner) -> None:
    """Step schedules from their beginning to the present iteration."""
    loop, hook = runner.train_loop, ParamSchedulerHook()
    length = len(loop.dataloader) if isinstance(loop, EpochBasedTrainLoop) else 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that no optimiser steps between
        # 160,000 iterations of 400 groups of parameters take 20 s.
        for iteration in tqdm(
            range(runner.iter), desc='schedule', unit='iteration', delay=1, disable=get_rank() > 0
        ):
            hook.after_train_iter(runner, iteration)
            if length and (iteration + 1) % length == 0:
                hook.after_train_epoch(runner)
