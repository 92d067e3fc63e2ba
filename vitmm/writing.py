"""Disks and folders that cannot be written to, as one message."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitmm.errors import VitmmError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK = (*_FULL, errno.EROFS, errno.EIO)  # not the fault of a name
_BLOCK = 4096


class WriteError(VitmmError):
    """A place that cannot be written to."""


def check_writable(folder: str | os.PathLike, name: str) -> None:
    """Refuse a folder that cannot be made or written to; nothing is left there, nor made.

    Args:
        folder: there or not.
        name: what the user knows it by, ``'--work-dir'``.

    Raises:
        WriteError: a file is in the way, or the disk is full, read-only or not this user's.
    """
    there = Path(folder).absolute()
    try:
        while not os.path.lexists(there) and there != there.parent:
            there = there.parent
        if there.is_symlink() and not there.exists():
            raise WriteError(f'{name} {folder}: {there} is a link to nothing; name another folder.')
        if not there.is_dir():
            raise WriteError(f'{name} {folder}: {there} is a file; name another folder.')
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(_BLOCK))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        why = f'nothing can be put into {there}: {error.strerror}'
        raise WriteError(f'{name} {folder}: {why}; {_advice(error)}.') from error


@contextmanager
def writing(*places: tuple[str, str | os.PathLike | None], kept: str = '') -> Iterator[None]:
    """Say what could not be written, where a block writes to some places.

    Args:
        places: what the user knows it by and the file or folder, ``('--out', 'a/b')``; None for
            what was not asked for.
        kept: a sentence about what is not lost.

    Raises:
        WriteError: an OSError of the disk, or of a path in such a place or on the way to it.
    """
    try:
        yield
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else None
        there = [(name, place) for name, place in places if place is not None]
        written = path and error.errno != errno.ENOENT  # what is not there was to be read
        near = [one for one in there if written and _related(path, one[1])]
        if not near and path:
            if error.errno not in (*_FULL, errno.EROFS):
                raise
            message = disk_message(error)  # a compiler's cache, shared memory: of another disk
        elif not near and error.errno not in _DISK:
            raise
        else:
            names = ' or '.join(f'{name} {place}' for name, place in near or there)
            message = _message(error, path, names)
        raise WriteError(f'{message} {kept}'.rstrip()) from error


def disk_message(error: OSError) -> str | None:
    """What to say of a disk that is full or read-only; None for other errors."""
    if error.errno not in _DISK:
        return None
    return _message(error, None, str(error.filename or 'a file'))


def _message(error: OSError, path: str | os.PathLike | None, names: str) -> str:
    at = '' if path is None or names.endswith(f' {path}') else f' ({path})'
    return f'{names} cannot be written: {error.strerror}{at}; {_advice(error)}.'


def _advice(error: OSError) -> str:
    return 'make room there, or name another' if error.errno in _FULL else 'name another'


def _related(path: str, place: str | os.PathLike) -> bool:
    one, other = os.path.abspath(path), os.path.abspath(place)
    return os.path.commonpath([one, other]) in (one, other)
