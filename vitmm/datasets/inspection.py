"""Reading a whole data set, to tell what it holds and what is bad in it."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from vitmm.datasets.bands import TIFF, decode
from vitmm.datasets.classes import read_classes
from vitmm.datasets.entries import Entry, read_entries, zero_is_ignored
from vitmm.datasets.errors import DataError
from vitmm.datasets.sources import leaves, read_source

_IGNORED = 255  # the value of a mask's pixels that are of no class


@dataclass
class Report:
    """What a data set holds.

    Attributes:
        name: what it is called in messages.
        images: how many.
        classes: how often each is there: boxes, images, or pixels of masks.
        sizes: how many images have each (width, height).
        faults: one line for each bad file or box, with its name.
    """

    name: str
    images: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'{self.name}: {self.images} images, {len(self.faults)} faults']
        if self.sizes:
            (width, height), count = self.sizes.most_common(1)[0]
            widths, heights = zip(*self.sizes, strict=True)
            lines.append(
                f'  widths {min(widths)} to {max(widths)}, heights {min(heights)} to '
                f'{max(heights)}; most often {width} x {height} ({count})'
            )
        lines += [f'  {name:<24} {count:>12,d}' for name, count in self.classes.items()]
        return '\n'.join([*lines, *(f'  bad: {fault}' for fault in self.faults)])


def inspect(dataset_cfg: dict, scope: str | None = None, name: str = 'data set') -> Report:
    """Open every file of a data set: count, measure, and name what is bad.

    Bad are: files that are missing or do not decode whole, images of another size than their
    annotations say, boxes outside the image or of no area, labels and mask values of no class,
    masks of another size than their images or of none, class folders and splits without images.

    Args:
        dataset_cfg: resolved config of a data set of mmdet, mmseg or mmpretrain, wrapped or not.
        scope: the config file's ``default_scope``.
        name: for the report, and for the progress bar.
    """
    report = Report(name)
    try:
        classes = read_classes(dataset_cfg, scope)
        jobs = []
        for cfg in leaves(dataset_cfg):
            entries = read_entries(read_source(cfg, scope), classes, scope)
            look = partial(_look, classes=classes, zero=zero_is_ignored(cfg), **_loading(cfg))
            jobs += [(look, entry) for entry in entries]
    except DataError as error:
        report.faults.append(str(error))
        return report
    report.classes.update(dict.fromkeys(classes, 0))
    if not jobs:
        report.faults.append('the split is empty: no image')
    with ThreadPool(os.cpu_count()) as pool:  # decoders let go of Python's lock
        found = pool.imap(lambda job: job[0](job[1]), jobs, chunksize=8)
        for size, counts, faults in tqdm(found, desc=name, total=len(jobs)):
            report.images += size is not None
            report.sizes.update([size] if size else [])
            report.classes.update(counts)
            report.faults += faults
    return report


def _loading(cfg: Mapping) -> dict:
    """How the data set's own pipeline reads images."""
    for step in cfg.get('pipeline') or ():
        if isinstance(step, Mapping) and step.get('type') == 'vitmm.LoadImage':
            return dict(channels=step.get('channels', 3), max_value=step.get('max_value'))
    return dict(channels=3, max_value=None)


def _look(
    entry: Entry, classes: Sequence[str], zero: bool, channels: int, max_value: float | None
) -> tuple[tuple[int, int] | None, Counter[str], list[str]]:
    """The (width, height) of an image, None if it has none; its classes; what is bad."""
    faults, counts = list(entry.faults), Counter(entry.labels)
    size = None
    if entry.is_image and not os.path.isfile(entry.image):
        faults.append('missing')
    elif entry.is_image:
        try:
            height, width = _decode(entry.image, channels, max_value)
            size = width, height
        except Exception as error:  # every decoder fails in its own way
            reason = error if isinstance(error, DataError) else f'does not decode ({error})'
            faults.append(str(reason))
    if size and entry.size and size != entry.size:
        faults.append(f'{_shown(size)} pixels, but {_shown(entry.size)} by its annotation')
    if size or entry.size:
        faults += _bad_boxes(entry, size or entry.size)
    if entry.mask:
        pixels, bad = _look_at_mask(entry.mask, size, classes, zero)
        counts.update(pixels)
        faults += bad
    return size, counts, [f'{entry.image}: {fault}' for fault in faults]


def _decode(path: str, channels: int, max_value: float | None) -> tuple[int, int]:
    content = Path(path).read_bytes()
    if not content.startswith(TIFF):
        # OpenCV fills what is cut off with grey, but reads kinds and sizes that Pillow does not.
        with (
            suppress(UnidentifiedImageError, Image.DecompressionBombError),
            Image.open(io.BytesIO(content)) as image,
        ):
            image.load()
    return decode(content, channels, max_value).shape[:2]


def _bad_boxes(entry: Entry, size: tuple[int, int]) -> list[str]:
    faults = []
    for box in entry.boxes:
        edges = (box.left, box.top, box.right, box.bottom)
        shown = f'{box.name} ({", ".join(f"{edge:g}" for edge in edges)})'
        if not all(map(isfinite, edges)) or box.right <= box.left or box.bottom <= box.top:
            faults.append(f'{shown} has no area')
        # Half a pixel for what annotation tools round.
        elif min(edges) < -0.5 or box.right > size[0] + 0.5 or box.bottom > size[1] + 0.5:
            faults.append(f'{shown} reaches out of the image, {_shown(size)} pixels')
    return faults


def _look_at_mask(
    path: str, size: tuple[int, int] | None, classes: Sequence[str], zero: bool
) -> tuple[Counter[str], list[str]]:
    if not os.path.isfile(path):
        return Counter(), [f'its mask {path} is missing']
    try:
        with Image.open(path) as image:
            mask = np.asarray(image)
    except Exception as error:  # every decoder fails in its own way
        return Counter(), [f'its mask {path} does not decode ({error})']
    if mask.ndim != 2:
        return Counter(), [f'its mask {path} has {mask.shape[2]} channels: one is read as classes']
    faults = []
    if size and mask.shape[::-1] != size:
        faults.append(f'its mask {path} has {_shown(mask.shape[::-1])} pixels, not {_shown(size)}')
    ignored = (0, _IGNORED) if zero else (_IGNORED,)
    values, pixels = np.unique(mask, return_counts=True)
    counts: Counter[str] = Counter()
    for value, count in zip(values.tolist(), pixels.tolist(), strict=True):
        label = value - zero
        if 0 <= label < len(classes):
            counts[classes[label]] += count
        elif value not in ignored:
            faults.append(
                f'its mask {path} has the value {value} ({count} pixels); there are '
                f'{int(zero)} to {len(classes) - 1 + zero}, and {_IGNORED}'
            )
    return counts, faults


def _shown(size: Sequence[int]) -> str:
    return f'{size[0]} x {size[1]}'
