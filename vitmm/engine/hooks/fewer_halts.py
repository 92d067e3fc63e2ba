"""Training that does not make a GPU wait."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from vitmm.models.halts import avoid_halts
from vitmm.registry import HOOKS


@HOOKS.register_module()
class FewerHaltsHook(Hook):
    """Compute mmdet's targets and losses and mmseg's accuracy without reading them from the GPU.

    mmpretrain's labels are sent to it without a wait. The results are the same; see
    :func:`vitmm.models.halts.avoid_halts`.
    """

    priority = 'VERY_HIGH'  # before FullPrecisionHook, which wraps what is replaced here

    def before_run(self, runner: Runner) -> None:
        """Replace the methods in question."""
        avoid_halts(runner.model)
