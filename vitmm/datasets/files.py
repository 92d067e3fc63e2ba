"""Reading annotation files, with one clear error for each way in which they can be bad."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

from vitmm.datasets.errors import DataError, MissingError

OWN_SETS = ('shapes', 'trees')  # that tools/prepare_data.py can make


def missing(what: str, path: str | os.PathLike) -> MissingError:
    """The error for a path that is not there; says how our own sets are made."""
    message = f'{what} not found: {path}'
    for name in OWN_SETS:
        parts = Path(path).parts
        if name in parts:
            out = Path(*parts[: parts.index(name) + 1])
            message += (
                f'; make it with: python tools/prepare_data.py {name} --out {quote(str(out))}'
            )
    error = MissingError(message)
    error.path = str(path)
    return error


def need_lvis() -> None:
    """Raise a DataError where the package that reads and measures LVIS is missing."""
    if not find_spec('lvis'):
        raise DataError('LVIS is read and measured by its own package: pip install --no-deps lvis')


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file that are not empty, without the space around them."""
    return [line.strip() for line in _lines(path) if line.strip()]


def read_names(path: str | os.PathLike) -> list[str]:
    """The same of a list of classes, which may begin with the mark that some editors write."""
    lines = read_lines(path)
    return [lines[0].removeprefix('\ufeff'), *lines[1:]] if lines else []


def _lines(path: str | os.PathLike) -> list[str]:
    try:
        text = Path(path).read_text(encoding='utf-8')
    except FileNotFoundError:
        raise missing('file', path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'cannot read {path}: {error}') from error
    return text.splitlines()


def odd_line(path: str | os.PathLike) -> str:
    """What is wrong with the first line that is empty or padded, '' if none is.

    mmdet takes all between two line breaks for a name.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line or line != line.strip():
            what = 'has spaces around its name' if line.strip() else 'is empty'
            return f'line {number} {what}'
    return ''


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file of so many lines."""
    path.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')


def read_voc(path: str) -> ElementTree.Element:
    """The root of a VOC XML file."""
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise missing('annotation file', path) from None
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f'{path} is not readable XML: {error}') from error


def voc_names(root: ElementTree.Element) -> list[str]:
    """The class of every object of a VOC XML file."""
    return [thing.findtext('name', '') for thing in root.iter('object')]


def class_folders(folder: str) -> tuple[str, ...]:
    """The sub-folders of an image folder in mmpretrain's order, which is that of the labels.

    Hidden ones are none: see :mod:`vitmm.compat.hidden_folders`.
    """
    try:
        found = (entry.name for entry in os.scandir(folder) if entry.is_dir())
        return tuple(sorted(name for name in found if not name.startswith('.')))
    except FileNotFoundError:
        raise missing('image folder', folder) from None
    except OSError as error:
        raise DataError(f'cannot read {folder}: {error}') from error


def files_below(folder: str, _above: tuple[str, ...] = ()) -> Iterator[str]:
    """The paths of all files below a folder, in order, but what is hidden or in hidden folders.

    Links to folders are followed, as mmseg and mmpretrain do, but not to those around them. A
    folder that is not there, or not readable, has none.
    """
    place = os.path.realpath(folder)
    if place in _above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    shown = [entry for entry in entries if not entry.name.startswith('.')]
    yield from (entry.path for entry in shown if not entry.is_dir())
    for entry in shown:
        if entry.is_dir():
            yield from files_below(entry.path, (*_above, place))
