"""Classes of which training sees nothing: where masks say 255 for the class 1, or of other data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vitmm.datasets.classes import read_classes, show_names
from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.entries import zero_is_ignored
from vitmm.datasets.errors import DataError
from vitmm.datasets.inspection import Report
from vitmm.datasets.listing import mask_paths
from vitmm.datasets.loading import IGNORED
from vitmm.datasets.maps import look_at_mask
from vitmm.datasets.sizes import spread
from vitmm.datasets.sources import leaves, read_source


def note_of_absent(
    report: Report, dataset_cfg: Mapping[str, Any], scope: str | None = None
) -> str | None:
    """A line that names the classes of which a data set shows nothing.

    Args:
        report: of the whole data set.
        dataset_cfg: its config, wrapped or not.
        scope: the config file's ``default_scope``.
    """
    absent = [name for name, count in report.classes.items() if not count]
    if not absent or not report.images:
        return None
    source = read_source(leaves(dataset_cfg)[0], scope)
    if source.kind == 'seg':
        return _say(absent, report.masks, report.ignoring) if report.masks else None
    if source.kind == 'folder' and not source.labelled:  # as for masked pretraining
        return None
    return f'no {"box" if source.kind in ("coco", "voc") else "image"} of {show_names(absent)}'


def note_of_few_values(dataset_cfg: Mapping[str, Any], scope: str | None = None) -> str | None:
    """A line where a few masks, from first to last, show at most one of several classes, and 255.

    So do masks of 0 and 255: the foreground is ignored, and nothing but the background learned.

    Args:
        dataset_cfg: resolved config of any data set, wrapped or not; only masks are looked at.
        scope: the config file's ``default_scope``.
    """
    counts: Counter[str] = Counter()
    masks = ignoring = 0
    try:
        for cfg in leaves(dataset_cfg):
            source = read_source(cfg, scope)
            if source.kind != 'seg' or not source.local:
                return None
            classes = read_classes(cfg, scope)
            counts.update(dict.fromkeys(classes, 0))
            for _, path in spread(mask_paths(source, scope)):
                look = path and look_at_mask(path, None, classes, zero_is_ignored(cfg))
                if not look or look.values is None:  # whether that matters is said where it is met
                    continue
                masks += 1
                ignoring += IGNORED in look.values
                counts.update(look.classes)
                if len(+counts) > 1:  # as it mostly is: nothing more is read
                    return None
    except DataError:
        return None
    absent = [name for name, count in counts.items() if not count]
    return _say(absent, masks, ignoring, ' looked at') if absent and ignoring else None


def note_of_unlearned(cfg: Mapping[str, Any], splits: Sequence[str] = ('val',)) -> str | None:
    """A line where COCO files to validate or test on have categories that training has not.

    Neither mmdet nor COCO's figures count their objects. What the training data has, too, is left
    out on purpose.

    Args:
        cfg: a resolved config.
        splits: of ``'val'`` and ``'test'``.
    """
    try:
        learned = _categories(cfg, 'train')
        for split in splits:
            others = [name for name in _categories(cfg, split) if name not in learned]
            if learned and others:
                return (
                    f'{split}_dataloader: {show_names(others)} among the categories of its '
                    'annotations, and not of those to train on: no figure counts such objects'
                )
    except DataError:  # which is said elsewhere
        pass
    return None


def _categories(cfg: Mapping[str, Any], split: str) -> list[str]:
    """The categories of a loader's COCO files; none where it has others."""
    dataset, scope = (cfg.get(f'{split}_dataloader') or {}).get('dataset'), cfg.get('default_scope')
    sources = [read_source(leaf, scope) for leaf in leaves(dataset)] if dataset else []
    if not all(source.kind == 'coco' and source.local and source.ann_file for source in sources):
        return []
    names = (name for source in sources for name in read_coco(source.ann_file).classes)
    return list(dict.fromkeys(names))


def _say(absent: list[str], masks: int, ignoring: int, which: str = '') -> str:
    said = f'no pixel of {show_names(absent)} in any of the {masks} masks{which}'
    if ignoring:
        said += (
            f', and {IGNORED}, which is ignored, in {ignoring} of them: where {IGNORED} stands '
            'for a class, write the number of that class instead (docs/data.md says how)'
        )
    return said
