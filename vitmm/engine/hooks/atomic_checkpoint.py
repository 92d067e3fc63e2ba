"""Checkpoints that are whole or not there, whenever the process is killed."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook

from vitmm.registry import HOOKS
from vitmm.whole_files import write_whole


@register_backend('vitmm_atomic')
class AtomicLocalBackend(LocalBackend):
    """Write local files beside their place, then move them into it."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``; a reader sees the old file or the new one, whole."""
        write_whole(filepath, obj)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, through :class:`AtomicLocalBackend`.

    Takes the same arguments. MMEngine removes the oldest checkpoint before it writes the next:
    keep at least two, and one is whole at every moment.
    """

    def __init__(self, *args, **kwargs) -> None:
        kwargs.setdefault('backend_args', {'backend': 'vitmm_atomic'})
        super().__init__(*args, **kwargs)
