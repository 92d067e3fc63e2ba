"""The config that a checkpoint carries, read without running it."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitmm.errors import ConfigError


def read_stored(text: str) -> dict[str, Any]:
    """Parse a resolved config's text: assignments of plain values.

    MMEngine stores ``Config.pretty_text`` in the checkpoint's ``meta['cfg']``, and reads it by
    running it as Python; a checkpoint must not be able to run anything.

    Raises:
        ConfigError: it holds anything but ``name = value`` with plain values in ``dict(...)``,
            lists and tuples.
    """
    config = {}
    try:
        for node in ast.parse(text).body:
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
                raise ValueError(f'line {node.lineno}: {ast.unparse(node)[:60]}')
            config[node.targets[0].id] = _value(node.value)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f'the stored config is not plain ({error}).') from error
    return config


def configs_in(folder: Path) -> list[Path]:
    """The resolved configs among a folder's Python files, by name; others may lie there too."""
    return [path for path in sorted(folder.glob('*.py')) if _is_config(path)]


def _is_config(path: Path) -> bool:
    try:
        return 'model' in read_stored(path.read_text(encoding='utf-8'))
    except (ConfigError, OSError, UnicodeDecodeError):
        return False


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not node.keywords:
            return _value(node.args[0])  # so MMEngine writes keys that are no names
        if node.args or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError(f'line {node.lineno}: {ast.unparse(node)[:60]}')
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(k): _value(v) for k, v in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    return ast.literal_eval(node)


def without(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A copy of ``config`` that lacks the key ``path`` (``'model.backbone.lora'``)."""
    first, _, rest = path.partition('.')
    if not rest:
        return {key: value for key, value in config.items() if key != first}
    return {**config, first: without(config[first], rest)} if first in config else {**config}
