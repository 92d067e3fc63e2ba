"""The little language of holes: ``${name.attribute[index]}`` inside a config's strings."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vitmm.errors import ConfigError, did_you_mean

# What no config sets, and who tells it.
TOLD = {
    'backbone': 'model.backbone',
    'data': 'the data set',
    'machine': 'the machine',
    'training': 'train_cfg',
}
_HOLE = re.compile(r'\$\{([^{}]*)\}')
_PATH = re.compile(r'[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[-?\d+\])*')
_STEP = re.compile(r'[A-Za-z_]\w*|-?\d+')


def fill(value: Any, look_up: Callable[[str], Any], where: str = '') -> Any:
    """Return ``value`` with every hole in its strings filled, through dicts, lists and tuples.

    A string that is one hole becomes what the hole stands for, with its type; a hole inside a
    longer string is written into it.

    Args:
        value: any part of a config; it is not changed.
        look_up: gives the value of a hole's first name, or raises KeyError whose argument
            is the collection of names that exist.
        where: the dotted key of ``value``, for messages.

    Raises:
        ConfigError: a hole that does not parse or names what does not exist, with its key.
    """
    if isinstance(value, Mapping):
        return {
            key: fill(item, look_up, f'{where}.{key}' if where else str(key))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(fill(v, look_up, f'{where}.{i}') for i, v in enumerate(value))
    if not isinstance(value, str) or '${' not in value:
        return value
    whole = _HOLE.fullmatch(value)
    if whole:
        return _evaluate(whole[1], look_up, where)
    filled = _HOLE.sub(lambda hole: str(_evaluate(hole[1], look_up, where)), value)
    if '${' in filled:
        raise ConfigError(f'{where} = {value!r}: a hole is opened with ${{ but not closed by }}.')
    return filled


def begins_with(text: str, first: str) -> bool:
    """Whether a hole in ``text`` begins with the name ``first``."""
    return any(re.split(r'[.\[]', hole)[0] == first for hole in _HOLE.findall(text))


def paths(text: str) -> list[tuple[str | int, ...]]:
    """Where the holes in ``text`` point: ``'${a.b[0]}'`` to ``('a', 'b', 0)``."""
    found = (_STEP.findall(hole) for hole in _HOLE.findall(text) if _PATH.fullmatch(hole))
    return [tuple(int(s) if s.lstrip('-').isdigit() else s for s in steps) for steps in found]


def _evaluate(expression: str, look_up: Callable[[str], Any], where: str) -> Any:
    hole = f'{where} = ${{{expression}}}'
    if not _PATH.fullmatch(expression):
        raise ConfigError(
            f'{hole}: a hole is a name with .attributes and [numbers], as ${{backbone.channels[2]}}'
        )
    first, *steps = _STEP.findall(expression)
    try:
        value = look_up(first)
    except KeyError as error:
        known = sorted(error.args[0])
        raise ConfigError(
            f"{hole}: nothing is called '{first}'.{did_you_mean(first, known)} A hole begins with "
            f'{", ".join(map(repr, TOLD))}, or a key at the top of the config.'
        ) from error
    path = first
    for step in steps:
        if isinstance(value, Mapping):
            known, ok = list(value), step in value
        elif isinstance(value, Sequence) and not isinstance(value, str):
            index = int(step) if step.lstrip('-').isdigit() else None
            known = [f'indices 0 to {len(value) - 1}']
            ok = index is not None and -len(value) <= index < len(value)
        else:
            known, ok = [], False
        if not ok:
            options = f' {path} has: {", ".join(map(str, known))}.' if known else ''
            raise ConfigError(
                f"{hole}: {path} has no '{step}'.{did_you_mean(step, map(str, known))}{options}"
            )
        value = value[step] if isinstance(value, Mapping) else value[int(step)]
        path += f'.{step}'
    return value
