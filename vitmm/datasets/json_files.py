"""Annotation files in JSON, each parsed once a start.

A file of COCO's size takes seconds, and is asked for twice: for its classes and what is bad in
it, and then by the data set.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import orjson

from vitmm.collector import paused, when_started
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import missing

_kept: dict[tuple, Any] = {}  # the file, as it was -> its content


def read_json(path: str | os.PathLike) -> Any:
    """The content of a file. Whole numbers beyond 64 bits become floats.

    Raises:
        DataError: it is missing, or is not JSON.
    """
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        raise missing('annotation file', path) from None
    except OSError as error:
        raise DataError(f'cannot read {path}: {error}') from error
    with paused():
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # Python's takes NaN and other encodings, too, and tells lines
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(
                f'{path} is not readable JSON, line {error.lineno} column {error.colno} '
                f'({error.msg}); is the file whole?'
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(f'cannot read {path}: {error}') from error


def shared_json(path: str | os.PathLike) -> Any:
    """The same, not to be changed; while a run starts it is kept for :func:`take_json`."""
    key = file_state(path)
    if key in _kept:
        return _kept[key]
    content = read_json(path)
    if when_started(_kept.clear):
        _kept[key] = content
    return content


def take_json(path: str | os.PathLike) -> Any:
    """The same for whoever may change it: what was kept, and is forgotten, or else read anew."""
    content = _kept.pop(file_state(path), None)
    return read_json(path) if content is None else content


def forget_json(path: str | os.PathLike) -> None:
    """Nobody will take the content of this file: another is read instead of it."""
    _kept.pop(file_state(path), None)


def file_state(path: str | os.PathLike) -> tuple[str, int, int]:
    """What changes with a file: its place, time and size.

    Raises:
        DataError: it is missing.
    """
    try:
        status = os.stat(path)
    except OSError:
        raise missing('annotation file', path) from None
    return os.path.realpath(path), status.st_mtime_ns, status.st_size
