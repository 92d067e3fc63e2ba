"""Which file, and which line of it, says each key of a config."""

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from vitmm.config import holes
from vitmm.config.load import _bases, _find_data
from vitmm.config.yaml_file import SUFFIXES

Key = tuple[str | int, ...]  # ('model', 'neck', 0, 'type')
COMMAND_LINE = '--cfg-options'
_BRACED = re.compile(r'\{\{\s*_base_\.(\w+)')


@dataclass(frozen=True)
class Place:
    """A line of a file; None where only the file is known."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return f'{self.file}:{self.line}' if self.line else self.file


class Origins:
    """Where each key of a config was said last.

    Args:
        path: the config file.
        data: the data set that takes the place of its own, as for ``load_config``.
        options: ``--cfg-options``.
        raw: the loaded config, its holes still open: they are followed.

    Attributes:
        files: the config file and what it inherits from, bases first.
        reads: for each file the names of top-level keys that its Python reads.
    """

    def __init__(
        self,
        path: str | Path,
        data: str | None = None,
        options: Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.data, self.raw = Path(path), data, raw or {}
        self.places: dict[Key, Place] = {}
        self.files: list[str] = []
        self.reads: dict[str, set[str]] = {}
        self._read(self.path)
        for option in options or {}:
            key = tuple(int(k) if k.lstrip('-').isdigit() else k for k in option.split('.'))
            self._forget(key)
            self.places[key] = Place(COMMAND_LINE)

    def find(self, key: Key) -> Place:
        """Where ``key`` was said, or else the part of the config that it is in."""
        if not key:
            return Place(str(self.path))
        key = self.follow(key)
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        for other, place in self.places.items():  # a.b=1 on the command line says a as well
            if other[: len(key)] == key:
                return place
        return Place(str(self.path))

    def latest(self, *keys: Key) -> Key:
        """Which of the keys was said last: on the command line, or in the file read last.

        Of several in one file the first that is given.
        """
        order = [*self.files, COMMAND_LINE]
        files = {key: self.find(key).file for key in keys}
        return max(keys, key=lambda k: order.index(files[k]) if files[k] in order else -1)

    def follow(self, key: Key) -> Key:
        """The key that a way through holes leads to: ``train_dataloader.dataset.pipeline.0`` to
        ``train_pipeline.0``."""
        for _ in range(10):  # holes of holes; a circle ends as well
            value: Any = self.raw
            for place, step in enumerate(key):
                if isinstance(value, str):
                    (target, *more) = holes.paths(value) or [None]
                    if target is None or more or target[0] not in self.raw:
                        return key[:place]
                    key = target + key[place:]
                    break
                try:
                    value = value[step]
                except (KeyError, IndexError, TypeError):
                    return key
            else:
                return key
        return key

    def _read(self, path: Path, swaps: bool = True) -> None:
        """Note a file after its bases; where ``swaps``, ``data`` takes the place of one."""
        if path.suffix in SUFFIXES:
            self._read_yaml(path, swaps)
            return
        tree, _, bases = _bases(path)
        for base in bases:
            self._read_base(base, path, swaps)
        name = str(path)
        self.files.append(name)
        self.reads[name] = {*_names_read(tree)}
        _File(self, name).record(tree)

    def _read_base(self, base: str, path: Path, swaps: bool) -> None:
        file = Path(Config._get_cfg_path(base, str(path))[0]).resolve()
        folders = (file.parent.name, file.parent.parent.name)
        swapped = bool(self.data) and swaps and '::' not in base and 'datasets' in folders
        if swapped:
            file = _find_data(str(self.data), file.parent)
        with suppress(ValueError):  # it lies elsewhere
            file = file.relative_to(Path.cwd())  # as short as the user would write it
        self._read(file, swaps and not swapped)

    def _read_yaml(self, path: Path, swaps: bool) -> None:
        node = yaml.compose(path.read_text(encoding='utf-8'), yaml.SafeLoader)
        entries = {k.value: v for k, v in node.value} if node else {}
        for base in _scalars(entries.get('_base_')):
            self._read_base(base, path, swaps)
        self.files.append(str(path))
        self.reads[str(path)] = set()
        self._record_yaml((), node, str(path))

    def _record_yaml(self, key: Key, node: yaml.Node | None, file: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                inner = (*key, name.value)
                self.places[inner] = Place(file, name.start_mark.line + 1)
                self._record_yaml(inner, value, file)
        elif node is not None:
            self._forget(key)
            for place, value in enumerate(node.value if isinstance(node.value, list) else ()):
                self.places[(*key, place)] = Place(file, value.start_mark.line + 1)
                self._record_yaml((*key, place), value, file)

    def _forget(self, key: Key) -> None:
        for other in [k for k in self.places if len(k) > len(key) and k[: len(key)] == key]:
            del self.places[other]


class _File:
    """One Python file's say."""

    def __init__(self, origins: Origins, name: str) -> None:
        self.origins, self.name = origins, name
        self.env: dict[str, ast.expr] = {}  # what the file has named so far

    def record(self, tree: ast.Module) -> None:
        assigned = (n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AugAssign))
        for node in sorted(assigned, key=lambda n: n.lineno):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Tuple):
                    for one in target.elts:
                        self._say(_key(one), node, None)
                else:
                    self._say(_key(target), node, node.value)
                if isinstance(target, ast.Name) and isinstance(node, ast.Assign):
                    self.env[target.id] = node.value

    def _say(self, key: Key | None, node: ast.stmt, value: ast.expr | None) -> None:
        if not key or key == ('_base_',):
            return
        if key[0] == '_base_':
            key = key[1:]
        elif len(key) == 1 and key[0] in self.env:  # said anew, not merged
            self.origins._forget(key)
        self.origins.places[key] = Place(self.name, node.lineno)
        if value is None or isinstance(node, ast.AugAssign):
            self.origins._forget(key)
        else:
            self._value(key, value)

    def _value(self, key: Key, value: ast.expr, depth: int = 0) -> None:
        if isinstance(value, ast.Name) and value.id in self.env and depth < 20:
            self._value(key, self.env[value.id], depth + 1)
            return
        entries = list(_entries(value)) if _is_dict(value) else None
        if entries is None or any(name == '_delete_' for name, *_ in entries):
            self.origins._forget(key)
        if entries is None:
            entries = list(_items(value))
        for name, line, inner in entries:
            if name is None:  # dict(**other)
                self._value(key, inner, depth + 1)
                continue
            self.origins.places[(*key, name)] = Place(self.name, line)
            self._value((*key, name), inner, depth + 1)


def _is_dict(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return isinstance(node, ast.Dict) or (called and node.func.id == 'dict')


def _entries(node: ast.expr) -> Iterator[tuple[Any, int, ast.expr]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                yield None, value.lineno, value
            elif isinstance(key, ast.Constant):
                yield key.value, key.lineno, value
    elif isinstance(node, ast.Call):
        for inner in node.args:
            yield None, inner.lineno, inner
        for keyword in node.keywords:
            yield keyword.arg, keyword.lineno, keyword.value


def _items(node: ast.expr) -> Iterator[tuple[int, int, ast.expr]]:
    if isinstance(node, ast.List | ast.Tuple):
        for place, item in enumerate(node.elts):
            if isinstance(item, ast.Starred):
                return  # how many there are is not written here
            yield place, item.lineno, item


def _key(target: ast.expr) -> Key | None:
    """``model['head'].type`` -> ('model', 'head', 'type')."""
    if isinstance(target, ast.Name):
        return (target.id,)
    if isinstance(target, ast.Attribute):
        inner, step = _key(target.value), target.attr
    elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        inner, step = _key(target.value), target.slice.value
    else:
        return None
    return None if inner is None else (*inner, step)


def _names_read(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Name) and node.value.id == '_base_':
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _BRACED.findall(node.value)


def _scalars(node: yaml.Node | None) -> list[str]:
    """The text of a node, or of each in its list."""
    value = node.value if node else []
    return [one.value for one in value] if isinstance(value, list) else [value] if value else []
