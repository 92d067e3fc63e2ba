"""Decoded images as files, shared by workers, ranks, epochs and runs through the page cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from vitmm.datasets.atomic import locked


class ImageCache:
    """Keeps what was decoded, as ``.npy`` files of a folder, until a limit is reached.

    When it is full, what is in stays in: training goes through the images in random order, where
    to throw one out for another would win nothing. To begin anew, delete the folder. A file is
    renamed into its place when it is whole, so that processes may write at once, or be killed.

    Args:
        folder: on a local disk, or in memory (``/dev/shm``); made when the first image comes.
        limit: GiB that the files may take.
    """

    def __init__(self, folder: str | os.PathLike, limit: float) -> None:
        self.folder = Path(folder)
        self.limit = int(limit * 2**30)
        self.full = False

    def get(self, path: str, how: tuple, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The image of a file from the cache, or else from ``decode``, into the cache.

        Args:
            path: the file; where it is not on this machine, ``decode`` is asked each time.
            how: whatever else the result depends on.
        """
        try:
            facts = os.stat(path)
        except OSError:
            return decode()
        key = os.path.abspath(path), facts.st_mtime_ns, facts.st_size, *how
        entry = self.folder / f'{hashlib.sha1(repr(key).encode()).hexdigest()}.npy'
        try:
            return np.load(entry)
        except (OSError, ValueError, EOFError):  # not there; cut short when the machine went down
            image = decode()
        if not self.full:
            self._put(entry, image)
        return image

    def _put(self, entry: Path, image: np.ndarray) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.full = not self._reserve(image.nbytes)
            if not self.full:
                part = entry.with_suffix(f'.{os.uname().nodename}-{os.getpid()}')
                try:
                    with part.open('wb') as file:
                        np.save(file, image)
                    os.replace(part, entry)
                finally:
                    part.unlink(missing_ok=True)
        except OSError as error:
            self.full = True
            print_log(f'{self.folder} takes no images ({error}): they are decoded each time.')

    def _reserve(self, size: int) -> bool:
        """Add to the sum of the sizes, 20 digits written in one go, if there is room."""
        with locked(self.folder / '.lock'):
            used = os.open(self.folder / 'used', os.O_RDWR | os.O_CREAT, 0o666)
            try:
                before = int(os.pread(used, 20, 0) or 0)
                if before <= self.limit:
                    os.pwrite(used, b'%020d' % (before + size), 0)
            finally:
                os.close(used)
        if before <= self.limit < before + size:
            print_log(f'{self.folder} is full: images that are not in it are decoded each time.')
        return before + size <= self.limit
