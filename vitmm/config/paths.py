"""Which keys of a config name a file of its data."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitmm.config.moved_data import written_root
from vitmm.config.top_level import names_in
from vitmm.datasets.errors import DataError, MissingError

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_OTHERS = {'type', 'pipeline', 'metainfo', 'backend_args', 'filter_cfg'}


@contextmanager
def missing_explained(loaded: Mapping[str, Any], used: Sequence[str] = ()) -> Iterator[None]:
    """Tell the keys of the config that name a file which is missed inside.

    Args:
        loaded: the config, its holes still open.
        used: the data loaders that are used.

    Raises:
        DataError: what was missed, with the keys.
    """
    try:
        yield
    except MissingError as error:
        keys = ' and '.join(keys_of_path(loaded, error.path, used))
        hint = f'; the config names it by {keys}: set them with --cfg-options' if keys else ''
        raise DataError(f'{error}{hint}') from error


def keys_of_path(
    loaded: Mapping[str, Any], path: str | os.PathLike, used: Sequence[str] = ()
) -> list[str]:
    """The keys whose values are parts of the path of a data set's file, to set another one.

    Args:
        loaded: the config, its holes still open: a hole leads to the key at the top that it names.
        path: as the data set joins it.
        used: the data loaders that are used: they are named where others say as much.

    Returns:
        Dotted keys of one data loader, that which says most of the path: ``['data_root',
        'train_ann']``, or ``['train_dataloader.dataset.ann_file']`` where there are no holes.
    """
    found: list[list[tuple[str, str]]] = []
    for loader in dict.fromkeys((*used, *_LOADERS)):
        settings = loaded.get(loader)
        dataset = settings.get('dataset') if isinstance(settings, Mapping) else None
        said = _strings(loaded, dataset, f'{loader}.dataset')
        found.append([(key, value) for key, value in said if _is_part(value, path)])
    most = max(found, key=lambda said: sum(len(Path(v).parts) for v in dict(said).values()))
    root = written_root(loaded)
    return list(dict.fromkeys(_shorter(key, value, root) for key, value in most))


def _shorter(key: str, value: str, root: str | None) -> str:
    """``data_root`` for the key of a data set that follows it (:func:`move_data`)."""
    follows = key.endswith('.data_root') and value.rstrip('/') == root
    return 'data_root' if follows else key


def _strings(loaded: Mapping[str, Any], value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in _OTHERS:
                yield from _strings(loaded, inner, f'{key}.{name}')
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _strings(loaded, inner, f'{key}.{place}')
    elif isinstance(value, str) and (names := list(names_in(value))):
        for name in names:
            if value != loaded.get(name):  # a hole that refers to itself is told of elsewhere
                yield from _strings(loaded, loaded.get(name), name)
    elif isinstance(value, str):
        yield key, value


def _is_part(value: str, path: str | os.PathLike) -> bool:
    part, whole = Path(value).parts, Path(path).parts
    starts = range(len(whole) - len(part) + 1)
    return bool(part) and any(whole[start : start + len(part)] == part for start in starts)
