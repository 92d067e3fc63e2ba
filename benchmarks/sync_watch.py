"""Halts of a GPU as the GPU itself tells of them.

torch warns of each operation for which the CPU waits (torch.cuda.set_sync_debug_mode). Those of a
backward pass arrive where it was called. torch names most of them, not all: what a kernel of
another library waits for is unseen.
"""

import warnings
from collections.abc import Callable


class SyncWatch:
    """A context that tells of torch's warnings of halts.

    Args:
        tell: is called for each, in the thread and at the line that asked.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell
        self.catching = warnings.catch_warnings()

    def __enter__(self) -> 'SyncWatch':
        import torch

        self.catching.__enter__()
        warnings.simplefilter('always')  # each of them, not one a line of code
        warnings.showwarning = self.record
        torch.cuda.set_sync_debug_mode('warn')
        return self

    def __exit__(self, *about: object) -> None:
        import torch

        torch.cuda.set_sync_debug_mode('default')
        self.catching.__exit__(*about)

    def record(self, message: Warning | str, *about: object, **more: object) -> None:
        """Tell of a warning, if it is one of these."""
        if 'called a synchronizing' in str(message):
            self.tell()
