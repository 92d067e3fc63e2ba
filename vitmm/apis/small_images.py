"""Small images that a recipe of large ones enlarges: what a user would want to know of."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from vitmm.datasets.sizes import Enlargement, Size, enlargement, some_sizes
from vitmm.datasets.sources import leaves


def note_of_small_images(
    cfg: Config,
    options: Mapping[str, Any] | None = None,
    sizes: Sequence[Size] | None = None,
) -> str | None:
    """One line where a config enlarges its training images by much, with the option to type.

    Args:
        cfg: resolved.
        options: ``--cfg-options``: of a scale that was given there nothing is said.
        sizes: (width, height) of the images; those of a few are read where they are not given.
    """
    found = find_small_images(cfg, sizes)
    if found is None or (_key_of(cfg, found.scale) or '') in (options or {}):
        return None
    return f'{say_small(found)}: {advise(cfg, found)}'


def find_small_images(cfg: Config, sizes: Sequence[Size] | None = None) -> Enlargement | None:
    """How much a resolved config enlarges its training images, if by much."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if not dataset or cfg.get('default_scope') not in ('mmdet', 'mmseg'):
        return None  # classifiers have one size for all
    sizes = some_sizes(dataset, cfg.get('default_scope')) if sizes is None else sizes
    return enlargement(leaves(dataset)[0].get('pipeline') or (), sizes)


def say_small(found: Enlargement) -> str:
    """What is so."""
    return (
        f'the images are about {found.size[0]} x {found.size[1]} pixels, and are enlarged x '
        f'{found.factor:.1f} to fit {found.scale[0]} x {found.scale[1]}'
    )


def advise(cfg: Config, found: Enlargement) -> str:
    """What to type."""
    key, (width, height) = _key_of(cfg, found.scale), found.size
    if key is None:
        return 'the training and the test pipeline name the scale'
    crop = found.crop and _key_of(cfg, found.crop)
    side = min(found.size)
    also = f' {crop}={side},{side}' if crop not in (None, key) else ''
    twice = '' if also else f' ({key}={2 * width},{2 * height} doubles them)'
    return f'--cfg-options {key}={width},{height}{also} leaves them as they are{twice}'


def _key_of(cfg: Config, size: Size) -> str | None:
    """The key at the top of a config that has that value."""
    same = (k for k, v in cfg.items() if isinstance(v, list | tuple) and tuple(v) == size)
    return next(same, None)
