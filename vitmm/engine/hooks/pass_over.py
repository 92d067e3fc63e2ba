"""A training by iterations that goes on passes over what it has seen without loading it."""

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner


class PassOverHook(Hook):
    """For MMEngine's loop, which loads every batch up to the iteration that it resumes from.

    The images come in the order of a run that was not stopped. The workers' random numbers do not:
    nothing was drawn for the batches in between.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Put a :class:`PassedOver` into the loop, before it begins to take batches."""
        loop = runner.train_loop
        if (
            isinstance(loop, IterBasedTrainLoop)
            and runner.iter
            and isinstance(loop.dataloader.sampler, InfiniteSampler)
        ):
            loop.dataloader_iterator = PassedOver(loop.dataloader_iterator, runner.iter)


class PassedOver:
    """Batches of which the first are None, but for those that workers are loading already.

    Args:
        batches: MMEngine's endless iterator over a loader.
        count: how many are not wanted.
    """

    def __init__(self, batches: Any, count: int) -> None:
        self.batches = getattr(batches, 'batches', batches)
        iterator = self.batches._iterator
        loading = getattr(iterator, '_send_idx', 0) - getattr(iterator, '_rcvd_idx', 0)
        self.left = max(count - loading, 0)
        for _ in range(self.left):
            iterator._next_index()

    def __next__(self) -> Any:
        if self.left:
            self.left -= 1
            return None
        return next(self.batches)
