"""Checkpoints that are whole or not there, whenever the process is killed."""

import glob
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os.path import realpath
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

    Takes the same arguments. Old checkpoints are removed after the new ones are written, where
    MMEngine does it before: until then the disk has both. Ctrl-C waits until a checkpoint is
    written; a second one does not.
    """

    def __init__(self, *args, **kwargs) -> None:
        if kwargs.get('file_client_args') is None:  # MMEngine takes one of them
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
        backend = getattr(self, 'file_backend', None)
        if backend is None:  # without training nothing is saved
            yield
            return
        self.file_backend = _RemovesLast(backend)
        try:
            yield
            # A resumed run may have written the same names again.
            best = getattr(self, 'best_ckpt_path', None)
            bests = getattr(self, 'best_ckpt_path_dict', {})
            written = (self.last_ckpt, best, *bests.values())
            self.file_backend.remove_but([path for path in written if path])
        finally:
            self.file_backend = backend


class _RemovesLast:
    """A storage backend that notes what is to be removed."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend = backend
        self._waiting: dict[str, tuple[Callable, Callable, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        # A run that is resumed may spell the folder in another way.
        self._waiting[realpath(path)] = self._backend.isfile, self._backend.remove, path

    def rmtree(self, path: str) -> None:
        self._waiting[realpath(path)] = self._backend.isdir, self._backend.rmtree, path

    def remove_but(self, kept: Sequence[str]) -> None:
        for place in self._waiting.keys() - {realpath(path) for path in kept}:
            is_there, remove, path = self._waiting[place]
            if is_there(path):
                remove(path)
