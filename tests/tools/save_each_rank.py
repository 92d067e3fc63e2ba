"""A hook for test_cli.py: every process saves the weights that it ends with."""

from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SaveEachRank(Hook):
    """Save ``rank<n>.pth`` in the work dir after training."""

    def after_train(self, runner):
        """Save this process's weights."""
        path = Path(runner.work_dir) / f'rank{get_rank()}.pth'
        torch.save(runner.model.module.state_dict(), path)
