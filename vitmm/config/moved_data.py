"""``data_root`` on the command line, where its value has been written into the config already."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from vitmm.config.top_level import names_in

_SPLITS = ('train', 'val', 'test')
_PARTS = (
    *(f'{split}_dataloader' for split in _SPLITS),
    *(f'{split}_evaluator' for split in _SPLITS[1:]),
    'prepare_data',
)
_NAMES = ('type', 'metainfo')  # whose words may be the same by chance


def move_data(config: Config, options: Mapping[str, Any]) -> None:
    """Let the data of a config without holes follow the ``data_root`` among ``options``, in place.

    In a recipe holes name the key. A resolved config (dumped, stored or published), as any of
    OpenMMLab's, has its value in every data set and metric, and would read the old place without
    a word.

    Args:
        config: loaded, the options not yet merged.
        options: ``{'dotted.key': value}``.
    """
    old, new = written_root(config), options.get('data_root')
    if old is None or not isinstance(new, str):
        return
    for key in _PARTS:
        if config.get(key):
            config[key] = _moved(config[key], old, new.rstrip('/'))


def written_root(config: Mapping[str, Any]) -> str | None:
    """The ``data_root`` of a config that has its value elsewhere, too; None where holes name it."""
    root = config.get('data_root')
    if not isinstance(root, str) or '${' in root or 'data_root' in names_in(dict(config)):
        return None
    return root.rstrip('/') or None


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if key in _NAMES else _moved(inner, old, new) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_moved(inner, old, new) for inner in value)
    if isinstance(value, str) and f'{value}/'.startswith(f'{old}/'):
        return new + value[len(old) :]
    return value
