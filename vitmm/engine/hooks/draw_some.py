"""Drawing a few of the test images, not all of them."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.runner import Runner

from vitmm.registry import HOOKS


@HOOKS.register_module()
class DrawSome(Hook):
    """Hand every n-th test batch to a visualization hook of mmdet, mmseg or mmpretrain.

    In testing mmdet's draws every image, whatever its interval.

    Args:
        hook: the config of the hook that draws.
        every: n, 1 or more.
    """

    def __init__(self, hook: dict, every: int) -> None:
        self.hook = MMENGINE_HOOKS.build(hook)
        self.every = every

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Let the hook draw the first image of the batch, if it is its turn."""
        if batch_idx % self.every == 0:
            self.hook.after_test_iter(runner, batch_idx, data_batch, outputs[:1])
