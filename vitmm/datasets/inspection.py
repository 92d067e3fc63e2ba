"""Reading a whole data set, to tell what it holds and what is bad in it."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from vitmm.datasets.bands import TIFF, decode
from vitmm.datasets.check import check_annotations
from vitmm.datasets.classes import read_classes
from vitmm.datasets.entries import Entry, read_entries, zero_is_ignored
from vitmm.datasets.errors import DataError, reason_of
from vitmm.datasets.filtered import note_of_filtered
from vitmm.datasets.listing import unread_files
from vitmm.datasets.loading import IGNORED
from vitmm.datasets.maps import depth_unit, look_at_depth, look_at_mask, shown_size
from vitmm.datasets.sources import leaves, read_source


@dataclass
class Report:
    """What a data set holds.

    Attributes:
        name: what it is called in messages.
        images: how many.
        classes: how often each is there: boxes, images, or pixels of masks.
        masks: how many could be read.
        ignoring: how many of these have 255.
        sizes: how many images have each (width, height).
        span: the nearest and the farthest metre of depth maps.
        faults: one line for each bad file or box, with its name.
        notes: what is no fault and worth knowing, a line each.
    """

    name: str
    images: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    masks: int = 0
    ignoring: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    span: tuple[float, float] | None = None
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ending = '' if len(self.faults) == 1 else 's'
        lines = [f'{self.name}: {self.images} images, {len(self.faults)} fault{ending}']
        if self.sizes:
            (width, height), count = self.sizes.most_common(1)[0]
            widths, heights = zip(*self.sizes, strict=True)
            lines.append(
                f'  widths {min(widths)} to {max(widths)}, heights {min(heights)} to '
                f'{max(heights)}; most often {width} x {height} ({count})'
            )
        if self.span:
            lines.append(f'  depths {self.span[0]:.4g} to {self.span[1]:.4g} m')
        lines += [f'  {name:<24} {count:>12,d}' for name, count in self.classes.items()]
        lines += [f'  note: {note}' for note in self.notes]
        return '\n'.join([*lines, *(f'  bad: {fault}' for fault in self.faults)])


@dataclass
class Seen:
    """What reading an image, its annotations and its mask told.

    Attributes:
        entry: what the annotations say.
        size: (width, height) in pixels, None where the image cannot be read.
        classes: how often each is there.
        faults: of the image, its mask or its label, which make it useless.
        box_faults: of boxes that are useless, by their numbers in the file.
        cut: of boxes that reach out of the image and can be cut to it.
        values: of the mask, where it could be read.
        span: the nearest and the farthest metre of the depth map, where it has any.
        depth_kind: the type of its values, ``'uint16'`` or alike.
    """

    entry: Entry
    size: tuple[int, int] | None
    classes: Counter[str]
    faults: list[str]
    box_faults: dict[int, str] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    values: set[int] | None = None
    span: tuple[float, float] | None = None
    depth_kind: str = ''

    def lines(self) -> list[str]:
        """One line for each fault, with the file's name."""
        faults = (*self.faults, *self.box_faults.values(), *self.cut)
        return [f'{self.entry.image}: {fault}' for fault in faults]


def inspect(dataset_cfg: dict, scope: str | None = None, name: str = 'data set') -> Report:
    """Open every file of a data set: count, measure, and name what is bad.

    Bad are: files that are missing or do not decode whole, images of another size than their
    annotations say, boxes outside the image or of no area, labels and mask values of no class,
    masks of another size than their images or of none, class folders and splits without images;
    and, where all of that is well, whatever else a training refuses, such as boxes without masks.

    Args:
        dataset_cfg: resolved config of a data set of mmdet, mmseg or mmpretrain, wrapped or not.
        scope: the config file's ``default_scope``.
        name: for the report, and for the progress bar.
    """
    report = Report(name)
    try:
        classes = read_classes(dataset_cfg, scope)
        looks = [(cfg, look_at_all(cfg, classes, scope, name)) for cfg in leaves(dataset_cfg)]
    except DataError as error:
        report.faults.append(str(error))
        return report
    seen = [one for _, some in looks for one in some]
    sources = (read_source(cfg, scope) for cfg in leaves(dataset_cfg))
    report.notes += filter(None, (unread_files(source, scope) for source in sources))
    for cfg, some in looks:
        sizes = [one.entry.size for one in some if one.entry.size]  # as mmdet is told
        report.notes += filter(None, [note_of_filtered(cfg, sizes)])
    if not all(one.entry.depth for one in seen):  # there are no classes in metres
        report.classes.update(dict.fromkeys(classes, 0))
    if not seen:
        report.faults.append('the split is empty: no image')
    for one in seen:
        report.images += one.size is not None
        report.sizes.update([one.size] if one.size else [])
        report.classes.update(one.classes)
        report.masks += one.values is not None
        report.ignoring += IGNORED in (one.values or ())
        report.faults += one.lines()
    if spans := [one.span for one in seen if one.span]:
        nearest, farthest = zip(*spans, strict=True)
        report.span = min(nearest), max(farthest)
    if coarse := sum(one.depth_kind == 'uint8' for one in seen):
        report.notes.append(
            f'{coarse} of {len(seen)} depth maps have 8 bits, 255 steps in all: 16 are usual'
        )
    if not report.faults:
        try:
            check_annotations(dataset_cfg, scope)
        except DataError as error:
            report.faults.append(str(error))
    return report


def look_at_all(cfg: dict, classes: Sequence[str], scope: str | None, name: str) -> list[Seen]:
    """Open every file of one data set that is no wrapper, under a progress bar.

    Args:
        cfg: its config.
        classes: their names, in the order of the labels.
        scope: the config file's ``default_scope``.
        name: for the progress bar.

    Raises:
        DataError: an annotation file that cannot be read at all, or a format not known here.
    """
    entries = read_entries(read_source(cfg, scope), classes, scope)
    told = dict(classes=classes, zero=zero_is_ignored(cfg), unit=depth_unit(cfg))
    look = partial(_look, **told, **_loading(cfg))
    with ThreadPool(os.cpu_count()) as pool:  # decoders let go of Python's lock
        found = pool.imap(look, entries, chunksize=8)
        return list(tqdm(found, desc=name, total=len(entries)))


def _loading(cfg: Mapping) -> dict:
    """How the data set's own pipeline reads images."""
    for step in cfg.get('pipeline') or ():
        if isinstance(step, Mapping) and step.get('type') == 'vitmm.LoadImage':
            return dict(channels=step.get('channels', 3), max_value=step.get('max_value'))
    return dict(channels=3, max_value=None)


def _look(
    entry: Entry,
    classes: Sequence[str],
    zero: bool,
    unit: float,
    channels: int,
    max_value: float | None,
) -> Seen:
    seen = Seen(entry, None, Counter(entry.labels), list(entry.faults), dict(entry.box_faults))
    if entry.is_image and not os.path.isfile(entry.image):
        seen.faults.append('missing')
    elif entry.is_image:
        try:
            height, width = _decode(entry.image, channels, max_value)
            seen.size = width, height
        except Exception as error:  # every decoder fails in its own way
            words = f'does not decode ({reason_of(entry.image, error)})'
            seen.faults.append(str(error) if isinstance(error, DataError) else words)
    size = seen.size
    if size and entry.size and size != entry.size:
        seen.faults.append(
            f'{shown_size(size)} pixels, but {shown_size(entry.size)} by its annotation'
        )
    if size or entry.size:
        for box in entry.boxes:
            fault, useless = box.fault(size or entry.size)
            if useless:
                seen.box_faults[box.number] = fault
            elif fault:
                seen.cut.append(fault)
    if entry.mask:
        look = look_at_mask(entry.mask, size, classes, zero)
        seen.classes.update(look.classes)
        seen.faults += look.faults
        seen.values = look.values
    if entry.depth:
        depth = look_at_depth(entry.depth, size, unit)
        seen.faults += depth.faults
        seen.span, seen.depth_kind = depth.span, depth.kind
    return seen


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
