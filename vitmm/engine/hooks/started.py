"""The end of a run's start."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from vitmm.collector import started


class StartedHook(Hook):
    """Calls :func:`vitmm.collector.started` when model and data sets are built."""

    priority = 'LOWEST'

    def before_run(self, runner: Runner) -> None:
        """The collector goes on."""
        started()
