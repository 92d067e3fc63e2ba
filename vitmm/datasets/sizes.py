"""How large a data set's images are, and how much its pipeline enlarges them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from PIL import Image

from vitmm.config.kinds import kind_of
from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.entries import voc_entry
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import read_lines, read_voc
from vitmm.datasets.listing import mask_paths
from vitmm.datasets.sources import leaves, read_source, voc_files

Size = tuple[int, int]  # (width, height) in pixels

MUCH = 2  # times as wide; what COCO's own images are enlarged by, 1333 x 800 from 640 x 480, is 1.7
_SOME = 50  # images that are looked at


@dataclass(frozen=True)
class Enlargement:
    """What a pipeline makes of images.

    Attributes:
        size: (width, height) of a usual image.
        factor: how many times as wide it is afterwards.
        scale: (width, height) that the pipeline names.
        key: where it does, ``(2, 'scale')``.
        crop: the (height, width) that it crops to, where that is more than the image has.
    """

    size: Size
    factor: float
    scale: Size
    key: tuple[int | str, ...]
    crop: Size | None


def some_sizes(dataset_cfg: Mapping[str, Any], scope: str | None = None) -> list[Size]:
    """Sizes of a few images, from first to last, as annotations or headers of files tell them.

    Nothing is decoded. Of formats and files that are not known here there are none.

    Args:
        dataset_cfg: resolved config of a data set of mmdet or mmseg, wrapped or not.
        scope: the config file's ``default_scope``.
    """
    found: list[Size] = []
    for cfg in leaves(dataset_cfg):
        with suppress(DataError):
            found += _sizes(cfg, scope)
    return found


def _sizes(cfg: dict, scope: str | None) -> Iterator[Size]:
    source = read_source(cfg, scope)
    if not source.local:
        return
    if source.kind == 'coco':
        yield from spread(read_coco(source.ann_file).sizes)
    elif source.kind == 'voc':
        for id in spread(read_lines(source.ann_file)):
            image, xml = voc_files(source, id)
            if size := voc_entry(image, xml, read_voc(xml), None).size:
                yield size
    elif source.kind in ('seg', 'depth'):
        for path, _ in spread(mask_paths(source, scope)):
            with suppress(Exception), Image.open(path) as image:  # bad files, and many bands
                yield image.size


def spread(items: Sequence[Any]) -> Sequence[Any]:
    """Fifty items, or up to twice as many, from first to last; all where there are fewer."""
    return items[:: max(1, len(items) // _SOME)]


def enlargement(pipeline: Sequence[Any], sizes: Sequence[Size]) -> Enlargement | None:
    """How much a pipeline enlarges usual images; None where it does not, or not by much.

    Args:
        pipeline: of a resolved config. The first step that resizes counts: its scale, whatever
            ratios to that it draws, or the middle one of several.
        sizes: of images.
    """
    sizes = [size for size in sizes if min(size) > 0]  # annotations may say anything
    if not sizes:
        return None
    width, height = (round(median(side)) for side in zip(*sizes, strict=True))
    steps = list(_steps(pipeline))
    for key, step in steps:
        scale, name = _scale(step)
        if scale is None:
            continue
        factor = scale[0] / width
        if step.get('keep_ratio'):  # as mmcv.imrescale: a longer and a shorter side
            factor = min(max(scale) / max(width, height), min(scale) / min(width, height))
        if factor < MUCH:
            return None
        crops = [_pair(s.get('crop_size')) for _, s in steps if kind_of(s) == 'RandomCrop']
        crop = next((c for c in crops if c and max(c) > max(width, height)), None)
        return Enlargement((width, height), factor, scale, (*key, name), crop)
    return None


def _steps(pipeline: Sequence[Any], key: tuple = ()) -> Iterator[tuple[tuple, Mapping[str, Any]]]:
    """Every step and its place; of those between which a pipeline chooses, the first."""
    for place, step in enumerate(pipeline):
        if kind_of(step) == 'RandomChoice':
            yield from _steps(step['transforms'][0], (*key, place, 'transforms', 0))
        elif isinstance(step, Mapping):
            yield (*key, place), step


def _scale(step: Mapping[str, Any]) -> tuple[Size | None, str]:
    kind = kind_of(step)
    if kind in ('Resize', 'RandomResize'):
        return _pair(step.get('scale')), 'scale'
    scales = [one for one in map(_pair, step.get('scales') or ()) if one]
    if kind == 'RandomChoiceResize' and scales:
        return sorted(scales, key=min)[len(scales) // 2], 'scales'
    return None, ''


def _pair(value: Any) -> Size | None:
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    return tuple(value) if is_pair and all(isinstance(one, int) for one in value) else None
