"""A live bar on a terminal."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from vitmm.engine.display import Display, bars, is_terminal
from vitmm.registry import HOOKS

_MIB = 2**20


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show how far a run is, how fast, and how well, at the foot of the terminal.

    Epoch and iteration, iterations a second, the time that is left, loss, learning rate, GPU
    memory, the last validation's metric; below it a bar of the validation while one runs. The
    numbers are those of the log, as often as they are read for it: nothing waits for the GPU. Where
    standard output is no terminal, and on other processes than the first, nothing is shown and the
    log's lines are printed as ever.

    Args:
        enabled: False shows nothing.
    """

    priority = 'LOWEST'  # behind what times, reads and logs

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._display: Display | None = None
        self._training: tuple[str, float, str] | None = None
        self._values: list[str] = []
        self._metric = ''
        self._peak = 0

    def stop(self) -> None:
        """Give the terminal back, also in the middle of a run."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def before_train(self, runner: Runner) -> None:
        """Begin where the run does, or goes on."""
        self._start(runner)
        self._show_training(runner, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Draw, if it is time."""
        if self._display is not None and (
            time.perf_counter() >= self._display.next or runner.iter + 1 == runner.max_iters
        ):
            self._show_training(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Leave the last picture where it is."""
        self.stop()
        self._training = None

    def before_val(self, runner: Runner) -> None:
        """Begin a bar of its own, below that of training where there is one."""
        self._start(runner)
        if self._training is not None:
            self._show_training(runner, runner.iter)
        self._show_evaluation(runner, 'val', 0)

    def before_test(self, runner: Runner) -> None:
        """Begin."""
        self._start(runner)
        self._show_evaluation(runner, 'test', 0)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Draw, if it is time."""
        if self._display is not None and time.perf_counter() >= self._display.next:
            self._show_evaluation(runner, 'val', batch_idx + 1)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Draw, if it is time, and when all is done: what comes then may take a while."""
        done = batch_idx + 1
        if self._display is not None and (
            time.perf_counter() >= self._display.next or done == len(runner.test_dataloader)
        ):
            self._show_evaluation(runner, 'test', done)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metric that picks the best checkpoint, or else the first."""
        if self._display is None:
            return
        wanted = next(
            (hook.save_best for hook in runner.hooks if isinstance(hook, CheckpointHook)), None
        )
        wanted = wanted[0] if isinstance(wanted, list) and wanted else wanted
        # Some are lists, of a value for each class.
        metrics = {n: v for n, v in (metrics or {}).items() if np.ndim(v) == 0}
        # It is named with or without the evaluator's prefix.
        name = next((n for n in metrics if wanted in (n, n.rpartition('/')[2])), None)
        name = name or next(iter(metrics), None)
        self._metric = f'{name} {float(metrics[name]):.4f}' if name else ''
        self._draw()

    def after_val(self, runner: Runner) -> None:
        """Stop, unless training goes on."""
        if self._training is None:
            self.stop()

    def after_test(self, runner: Runner) -> None:
        """Leave the last picture where it is."""
        self.stop()

    def _start(self, runner: Runner) -> None:
        if self._display is None and self.enabled and is_main_process() and is_terminal():
            self._display = Display(runner.logger)

    def _show_training(self, runner: Runner, done: int) -> None:
        if self._display is None:
            return
        total = runner.max_iters
        place = f'{done}/{total} iterations'
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            length = len(runner.train_dataloader)
            epoch = max(done - 1, 0) // length  # a whole one is shown as whole
            place = f'epoch {epoch + 1}/{runner.max_epochs}  {done - epoch * length}/{length}'
        state = '  '.join([place, *_speed(runner, 'train')])
        self._training = 'train', done / max(total, 1), state
        self._values = self._read(runner)
        self._draw()

    def _show_evaluation(self, runner: Runner, mode: str, done: int) -> None:
        if self._display is None:
            return
        total = len(runner.val_dataloader if mode == 'val' else runner.test_dataloader)
        state = '  '.join([f'{done}/{total}', *(_speed(runner, mode) if done else ())])
        self._draw((mode, done / max(total, 1), state))

    def _draw(self, *rows: tuple[str, float, str]) -> None:
        second = ''
        if self._training is not None:
            rows = (self._training, *rows)
            second = '  '.join(part for part in (*self._values, self._metric) if part)
        self._display.draw(lambda width: bars(rows, second, width))

    def _read(self, runner: Runner) -> list[str]:
        scalars = runner.message_hub.log_scalars
        values = []
        if 'train/loss' in scalars:
            window = runner.log_processor.window_size
            values.append(f'loss {scalars["train/loss"].mean(window):.4f}')
        for key in ('train/base_lr', 'train/lr'):
            if key in scalars:
                values.append(f'lr {scalars[key].current():.2e}')
                break
        if torch.cuda.is_available():
            # The log resets the allocator's peak with each of its lines.
            self._peak = max(self._peak, torch.cuda.max_memory_allocated())
            values.append(f'memory {self._peak // _MIB} MiB')
        return values


def _speed(runner: Runner, mode: str) -> list[str]:
    """Iterations a second, and the time that is left, by the log's own measure."""
    times, parts = runner.message_hub.log_scalars.get(f'{mode}/time'), []
    if times is not None and (seconds := float(times.mean(runner.log_processor.window_size))):
        parts.append(f'{1 / seconds:.1f} it/s' if seconds < 1 else f'{seconds:.1f} s/it')
    if (left := runner.message_hub.runtime_info.get('eta')) is not None:
        parts.append(f'{timedelta(seconds=int(left))} left')
    return parts


def stop_progress(runner: Runner) -> None:
    """Give the terminal back after a run that may have been cut short."""
    for hook in runner.hooks:
        if isinstance(hook, ProgressHook):
            hook.stop()
