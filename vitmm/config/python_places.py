"""The keys that a config file says in Python, line by line, without running it."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from vitmm.config.places import Key, Place, Places

_BRACED = re.compile(r'\{\{\s*_base_\.(\w+)')


class PythonFile:
    """One file's say.

    Args:
        places: of the files that were read before it; its own are added.
        name: of the file.
    """

    def __init__(self, places: Places, name: str) -> None:
        self.places, self.name = places, name
        self.env: dict[str, ast.expr] = {}  # what the file has named so far

    def record(self, tree: ast.Module) -> None:
        """Note what the file assigns."""
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
            self.places.forget(key)
        self.places[key] = Place(self.name, node.lineno)
        if value is None or isinstance(node, ast.AugAssign):
            self.places.forget(key)
        else:
            self._value(key, value)

    def _value(self, key: Key, value: ast.expr, depth: int = 0) -> None:
        if isinstance(value, ast.Name) and value.id in self.env and depth < 20:
            self._value(key, self.env[value.id], depth + 1)
            return
        entries = list(_entries(value)) if _is_dict(value) else None
        if entries is None or any(name == '_delete_' for name, *_ in entries):
            self.places.forget(key)
        if entries is None:
            entries = list(_items(value))
        for name, line, inner in entries:
            if name is None:  # dict(**other)
                self._value(key, inner, depth + 1)
                continue
            self.places[(*key, name)] = Place(self.name, line)
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


def names_read(tree: ast.Module) -> Iterator[str]:
    """The names that a file reads, those of its bases' values among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Name) and node.value.id == '_base_':
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _BRACED.findall(node.value)
