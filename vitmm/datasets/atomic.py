"""Writing a folder once, whole or not at all, however many processes ask for it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vitmm.datasets.errors import AnotherSetError, DataError, OthersFolderError
from vitmm.writing import writing


def write_once(
    root: str | os.PathLike, manifest_name: str, manifest: dict, write: Callable[[Path], None]
) -> Path:
    """Let one process fill the folder ``root``; the others wait for it and then use it.

    ``write`` fills a temporary folder beside ``root``, which is renamed when it is complete: a
    process that is killed leaves no half-written ``root``, and the next one starts anew.

    Args:
        root: The folder to make.
        manifest_name: File name of the record of what the folder holds, inside ``root``.
        manifest: The record, a flat dict of JSON values. A ``root`` with the same record is
            used as it is.
        write: Called with the temporary folder, which exists and is empty.

    Returns:
        ``root``.

    Raises:
        DataError: ``root`` holds other files, or a set with another record. Nothing is touched.
        WriteError: it cannot be written.
    """
    root = Path(root)
    if _is_written(root, manifest_name, manifest):
        return root
    target = root.resolve()  # a link to a folder on another disk: write over there
    with writing((f'{target.name} in', target.parent)):
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent / f'.{target.name}.lock'):
            if _is_written(root, manifest_name, manifest):
                return root
            # Names carry the machine, so that on a disk shared by several, where locks may be
            # local, none removes what another is writing.
            stem = f'.{target.name}.writing-{socket.gethostname()}-'
            for left_over in target.parent.glob(f'{stem}*'):  # we hold the lock: its writer died
                shutil.rmtree(left_over, ignore_errors=True)
            folder = target.parent / f'{stem}{os.getpid()}'
            folder.mkdir()
            try:
                write(folder)
                (folder / manifest_name).write_text(json.dumps(manifest, indent=2) + '\n')
                try:
                    os.rename(folder, target)
                except OSError as error:  # another machine came first; is it the same set?
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    _is_written(root, manifest_name, manifest)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return root


@contextmanager
def new_folder(root: str | os.PathLike) -> Iterator[Path]:
    """Give a scratch folder to fill, which becomes ``root`` when the block ends without an error.

    Raises:
        DataError: ``root`` is a file, or a folder that is not empty. Nothing is touched.
        WriteError: it cannot be written.
    """
    root = Path(root)
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        raise DataError(f'{root} is there already; remove it, or name another folder')
    target = root.resolve()
    with writing((f'{target.name} in', target.parent)):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.parent / f'.{target.name}.writing-{socket.gethostname()}-{os.getpid()}'
        scratch.mkdir()
        try:
            yield scratch
            os.rename(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _is_written(root: Path, manifest_name: str, manifest: dict) -> bool:
    """Whether ``root`` holds this very set; raises where it holds anything else."""
    if not root.exists():
        return False
    if not root.is_dir():
        raise DataError(f'{root} is a file; name a folder for the data set')
    path = root / manifest_name
    if not path.exists():
        if any(root.iterdir()):
            raise OthersFolderError(
                f'{root} is not empty and has no {manifest_name}, so it is not ours to write to; '
                'name another folder'
            )
        return False
    try:
        found = json.loads(path.read_text())
        found = found if isinstance(found, dict) else {}
    except ValueError:
        found = {}
    there = {
        key: found.get(key)
        for key in sorted({*found, *manifest})
        if found.get(key) != manifest.get(key)
    }
    if there:
        differences = [
            f'{key}: {value!r} there, {manifest.get(key)!r} asked for'
            for key, value in there.items()
        ]
        error = AnotherSetError(
            f'{root} holds another set ({"; ".join(differences)}); '
            'delete the folder to write it again, or name another'
        )
        error.there = there
        raise error
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the system lets go of it when the process ends."""
    with path.open('w') as file:
        # Some network disks have no locks: the rename then decides who was first.
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield
