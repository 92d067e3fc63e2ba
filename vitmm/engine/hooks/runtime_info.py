"""Losses read when they are logged, not in every iteration."""

from collections import defaultdict
from typing import Any

import torch
from mmengine.hooks import LoggerHook
from mmengine.hooks import RuntimeInfoHook as MMEngineRuntimeInfoHook
from mmengine.runner import Runner

from vitmm.registry import HOOKS


@HOOKS.register_module()
class RuntimeInfoHook(MMEngineRuntimeInfoHook):
    """MMEngine's RuntimeInfoHook, which does not wait for the GPU between two lines of the log.

    MMEngine's reads each loss in each iteration, and the CPU must wait until it is computed. Here
    they stay where they are until a LoggerHook, a validation or a checkpoint wants them, and are
    then read in one go. What is logged is the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unread: list[dict[str, Any]] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Keep the losses, and the norm of the gradients where ``vitmm.OptimWrapper`` has it."""
        values = {f'train/{key}': value for key, value in (outputs or {}).items()}
        norm = getattr(runner.optim_wrapper, 'grad_norm', None)
        if norm is not None:
            values['train/grad_norm'] = norm
            runner.optim_wrapper.grad_norm = None
        self._unread.append(
            {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in values.items()}
        )
        if self._is_read_now(runner, batch_idx):
            self._read(runner)

    def before_val(self, runner: Runner) -> None:
        """Read what is left, then as MMEngine's."""
        self._read(runner)
        super().before_val(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read what is left: the histories are stored."""
        if self._unread and 'message_hub' in checkpoint:
            self._read(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def _is_read_now(self, runner: Runner, batch_idx: int) -> bool:
        # This hook runs before LoggerHook, which then reads the histories.
        intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        return self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
            self.every_n_inner_iters(batch_idx, n) or self.every_n_train_iters(runner, n)
            for n in [*intervals, 1000]  # in the end also where nothing logs
        )

    def _read(self, runner: Runner) -> None:
        waiting, self._unread = self._unread, []
        tensors = defaultdict(list)
        for value in (v for values in waiting for v in values.values()):
            if isinstance(value, torch.Tensor):
                tensors[value.device, value.dtype].append(value.squeeze())
        numbers = {kind: iter(torch.stack(some).tolist()) for kind, some in tensors.items()}
        for key, value in (pair for values in waiting for pair in values.items()):
            if isinstance(value, torch.Tensor):
                value = next(numbers[value.device, value.dtype])
            runner.message_hub.update_scalar(key, value)
