"""Checkpoints that are whole or not there, whenever the process is killed."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.fileio import BaseStorageBackend, LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from vitmm.interrupts import uninterrupted
from vitmm.registry import HOOKS
from vitmm.whole_files import write_whole


@register_backend('vitmm_atomic')
class AtomicLocalBackend(LocalBackend):
    """Write local files beside their place, then move them into it."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``; a reader sees the old file or the new one, whole."""
        path = Path(filepath)
        for scratch in path.parent.glob(f'.{glob.escape(path.name)}.*'):  # of a killed run
            scratch.unlink(missing_ok=True)
        write_whole(path, obj)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, through :class:`AtomicLocalBackend`.

    Takes the same arguments. An old checkpoint is removed after the new one is written, where
    MMEngine does it before: for that moment there is one more than ``max_keep_ckpts``. Ctrl-C waits
    until a checkpoint is written; a second one does not.
    """

    def __init__(self, *args, **kwargs) -> None:
        kwargs.setdefault('backend_args', {'backend': 'vitmm_atomic'})
        super().__init__(*args, **kwargs)

    def after_train_iter(self, runner: Runner, batch_idx: int, *args, **kwargs) -> None:
        """Save every so many iterations."""
        with uninterrupted(), self._removing_last():
            super().after_train_iter(runner, batch_idx, *args, **kwargs)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save every so many epochs."""
        with uninterrupted(), self._removing_last():
            super().after_train_epoch(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best."""
        with uninterrupted(), self._removing_last():
            super().after_val_epoch(runner, metrics)

    def after_train(self, runner: Runner) -> None:
        """Publish."""
        with uninterrupted():
            super().after_train(runner)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """What the block removes is kept until it has ended without an error."""
        backend, self.file_backend = self.file_backend, _RemovesLast(self.file_backend)
        try:
            yield
            # A resumed run may have written the same names again.
            best = getattr(self, 'best_ckpt_path', None)
            bests = getattr(self, 'best_ckpt_path_dict', {})
            self.file_backend.remove_but({self.last_ckpt, best, *bests.values()})
        finally:
            self.file_backend = backend


class _RemovesLast:
    """A storage backend that notes what is to be removed."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend = backend
        self._waiting: list[tuple[Any, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._waiting.append((self._backend.remove, path))

    def rmtree(self, path: str) -> None:
        self._waiting.append((self._backend.rmtree, path))

    def remove_but(self, kept: set[str | None]) -> None:
        for remove, path in self._waiting:
            if path not in kept:
                remove(path)
