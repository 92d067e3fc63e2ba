"""A recipe in YAML: the same file in Python, for all that reads configs."""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from vitmm.errors import ConfigError

SUFFIXES = ('.yaml', '.yml')


def as_python(path: Path, scratch: Path) -> Path:
    """Write what the YAML file ``path`` says as a Python config into the folder ``scratch``.

    Its ``_base_`` (one path or a list, from the file's own folder, ``.py`` or YAML) becomes
    absolute. YAML knows no tuples: a list is one where the bases have a tuple under the same keys,
    or where it is written ``!tuple [a, b]``. ``1e-4`` is a number, as in YAML 1.2.

    Returns:
        The written file.

    Raises:
        ConfigError: the file does not parse, says a key twice, holds what no config can hold, or
            names a base that does not exist.
    """
    said = _read(path)
    bases = said.pop('_base_', None) or []
    bases = [bases] if isinstance(bases, str) else list(bases)
    bases = [base if '::' in str(base) else str(_find(base, path, scratch)) for base in bases]
    below = _write(scratch, f'below_{path.stem}', {'_base_': bases})
    said = like(said, Config.fromfile(below).to_dict(), path)
    return _write(scratch, path.stem, {'_base_': bases, **said})


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader: with tuples and YAML 1.2's floats, without keys said twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.value != '<<':
                raise yaml.constructor.ConstructorError(
                    None, None, f'{key.value!r} is said twice', key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _tuple(loader: _Loader, node: yaml.SequenceNode) -> tuple:
    return tuple(loader.construct_sequence(node, deep=True))


_Loader.add_constructor('!tuple', _tuple)
_Loader.add_constructor('tag:yaml.org,2002:python/tuple', _tuple)  # as MMEngine dumps them
_Loader.add_implicit_resolver(
    'tag:yaml.org,2002:float',
    re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$'),
    list('-+.0123456789'),
)


def _read(path: Path) -> dict[str, Any]:
    try:
        said = yaml.load(path.read_text(encoding='utf-8'), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise ConfigError(f'{path} cannot be read: it holds no "key: value" lines.')
    for key in said:
        if not (isinstance(key, str) and key.isidentifier()):
            raise ConfigError(f'{path}: the key {key!r} at its top is no name.')
    return said


def _find(base: Any, path: Path, scratch: Path) -> Path:
    file = (path.parent / str(base)).resolve()
    if not file.is_file():
        raise ConfigError(
            f'{path} inherits from {base}, but there is no file {file}: a path in _base_ begins '
            "at the file's own folder."
        )
    return as_python(file, scratch) if file.suffix in SUFFIXES else file


def like(value: Any, base: Any, where: object) -> Any:
    """``value``, its lists made tuples where ``base`` has them.

    Raises:
        ConfigError: a value that no config can have, or text where ``base`` has several numbers
            or a part's settings.
    """
    if isinstance(value, Mapping):
        known = base if isinstance(base, Mapping) else {}
        return {key: like(item, known.get(key), f'{where}: {key}') for key, item in value.items()}
    if isinstance(value, list | tuple):
        kind = tuple if isinstance(base, tuple) else type(value)
        known = base if isinstance(base, list | tuple) and len(base) == len(value) else ()
        known = known or [None] * len(value)
        return kind(like(v, b, where) for v, b in zip(value, known, strict=True))
    if isinstance(value, datetime.date | bytes | set):
        raise ConfigError(f'{where} = {value!r} is no value of a config; quote it to make it text.')
    part = isinstance(base, Mapping) and 'type' in base  # other dicts may be text as well
    if isinstance(value, str) and part and '${' not in value:
        known = ', '.join(list(base)[:4])
        raise ConfigError(
            f'{where}={value} is text, where the base has settings ({known}, ...): name one of '
            f'them, as {where}.{next(iter(base))}.'
        )
    numbers = isinstance(base, tuple) and base and all(isinstance(b, int | float) for b in base)
    if isinstance(value, str) and numbers and '${' not in value:
        known = ','.join(map(str, base))
        raise ConfigError(f'{where}={value} is text, where the base has {known}.')
    return value


def _write(scratch: Path, stem: str, config: Mapping[str, Any]) -> Path:
    file = scratch / f'{len(list(scratch.iterdir()))}_{stem}.py'
    lines = [f'{key} = {_source(value)}\n' for key, value in config.items()]
    file.write_text(''.join(lines), encoding='utf-8')
    return file


def _source(value: Any) -> str:
    """Python's text of a value; of infinity and not-a-number too, which repr has no text of."""
    if isinstance(value, float):
        return f'float({str(value)!r})'
    if isinstance(value, dict):
        return '{' + ', '.join(f'{k!r}: {_source(v)}' for k, v in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ', '.join(map(_source, value)) + ']'
    if isinstance(value, tuple):
        return '(' + ''.join(f'{_source(v)}, ' for v in value) + ')'
    return repr(value)
