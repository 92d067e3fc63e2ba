"""Losses in float32 under autocast."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from vitmm.models.precision import use_full_precision_in_losses
from vitmm.registry import HOOKS


@HOOKS.register_module()
class FullPrecisionHook(Hook):
    """Compute losses and post-processing in float32 while the rest runs under autocast.

    ``--amp`` adds it. See :func:`vitmm.models.precision.use_full_precision_in_losses`.
    """

    def before_run(self, runner: Runner) -> None:
        """Wrap the heads of the model."""
        use_full_precision_in_losses(runner.model)
