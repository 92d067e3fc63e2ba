"""Which file, and which line of it, says each key of a config."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from vitmm.config import holes
from vitmm.config.load import _bases, _find_data
from vitmm.config.places import Key, Place, Places
from vitmm.config.python_places import PythonFile, names_read
from vitmm.config.yaml_file import SUFFIXES

COMMAND_LINE = '--cfg-options'


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
        self.places = Places()
        self.files: list[str] = []
        self.reads: dict[str, set[str]] = {}
        self._read(self.path)
        for option in options or {}:
            key = tuple(int(k) if k.lstrip('-').isdigit() else k for k in option.split('.'))
            self.places.forget(key)
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
        self.reads[name] = {*names_read(tree)}
        PythonFile(self.places, name).record(tree)

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
            self.places.forget(key)
            for place, value in enumerate(node.value if isinstance(node.value, list) else ()):
                self.places[(*key, place)] = Place(file, value.start_mark.line + 1)
                self._record_yaml((*key, place), value, file)


def _scalars(node: yaml.Node | None) -> list[str]:
    """The text of a node, or of each in its list."""
    value = node.value if node else []
    return [one.value for one in value] if isinstance(value, list) else [value] if value else []
