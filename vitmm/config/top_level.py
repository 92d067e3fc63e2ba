"""Which keys at the top of a config are read, and options that set none of these."""

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vitmm.config import holes
from vitmm.errors import ConfigError, did_you_mean

# What others than the Runner read: our tools, MMEngine's loading, OpenMMLab's tools and hooks.
_TOOLS = {
    'prepare_data', 'tta_model', 'tta_pipeline', 'runner_type', 'custom_imports', 'compile',
    'env_cfg', 'work_dir', 'launcher', 'trackers', 'bad_data', '_base_',
}  # fmt: skip

_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'NOTSET', 'WARN', 'FATAL')


@cache
def read_keys() -> frozenset[str]:
    """The top-level keys that MMEngine's Runner or any tool reads."""
    from mmengine.runner import Runner  # takes seconds, which not all that load a config need

    keys = set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}
    keys |= set(re.findall(r"self\.cfg\.get\(\s*'(\w+)'", inspect.getsource(Runner)))
    return frozenset(keys | _TOOLS)


def check_log_level(config: Mapping[str, Any]) -> None:
    """Refuse a ``log_level`` that logging does not know.

    Raises:
        ConfigError: with the level that is near.
    """
    level = config.get('log_level', 'INFO')
    if isinstance(level, str) and '${' not in level and level not in _LEVELS:
        near = did_you_mean(level.upper(), _LEVELS, limit=1) or f' It is one of {_LEVELS}.'
        raise ConfigError(f'log_level={level!r} is no level of logging.{near}')


def names_in(value: Any) -> Iterator[str]:
    """The first names of all holes inside ``value``."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from names_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names_in(inner)
    elif isinstance(value, str):
        yield from (str(path[0]) for path in holes.paths(value))


def check_options(loaded: Mapping[str, Any], options: Mapping[str, Any], path: str | Path) -> None:
    """Refuse an option that begins with a name which nobody would ever read.

    A key is known if the config has it, the Runner or a tool reads it, or a hole asks for it.
    What only somebody's own module reads, the config must have: nobody else can know of it.

    Args:
        loaded: the config as its files say it, without the options.
        options: ``{'dotted.key': value}``.
        path: the config's file, for the message.

    Raises:
        ConfigError: such an option; says which key is near.
    """
    for option in options:
        first = option.split('.')[0]
        if first in loaded or first.startswith('_'):
            continue
        if first in holes.TOLD:
            raise ConfigError(
                f"--cfg-options {option}: '{first}' is not set; {holes.TOLD[first]} tells it."
            )
        asked = {*names_in(dict(loaded)), *names_in(dict(options))} - holes.TOLD.keys()
        if first in asked or first in read_keys():
            continue
        raise ConfigError(
            f"--cfg-options {option}: nothing reads '{first}'."
            f'{did_you_mean(first, {*loaded, *asked, *read_keys()})} For a key that a module of '
            f'your own reads, write it into a config that inherits from {path}.'
        )
