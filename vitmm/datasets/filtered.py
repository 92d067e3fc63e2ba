"""Images that mmdet leaves out of a training without a word: those with a short side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.errors import DataError
from vitmm.datasets.sizes import Size
from vitmm.datasets.sources import Source, leaves, read_source


def refuse_to_filter_all(source: Source, sizes: Sequence[Size]) -> None:
    """Raise a DataError where a detection data set would leave out all images of these sizes."""
    least = _least(source.options)
    if sizes and all(min(size) < least for size in sizes):
        raise DataError(
            f'{source.ann_file}: all of its {len(sizes)} images have a side below {least} pixels '
            'and would be left out: set train_dataloader.dataset.filter_cfg.min_size=1'
        )


def note_of_filtered(options: Mapping[str, Any], sizes: Sequence[Size]) -> str | None:
    """A line that says how many images of these sizes a detection data set leaves out, if any."""
    least = _least(options)
    count = sum(min(size) < least for size in sizes)
    if not count:
        return None
    return (
        f'{count} of {len(sizes)} images {"has" if count == 1 else "have"} a side below {least} '
        'pixels and will be left out: filter_cfg.min_size=1 in the data set keeps them'
    )


def notes_of_filtered(dataset_cfg: Mapping[str, Any], scope: str | None = None) -> list[str]:
    """Such lines for the COCO files of a data set, wrapped or not, whose sizes cost nothing."""
    sources = [read_source(cfg, scope) for cfg in leaves(dataset_cfg)]
    found = [
        note_of_filtered(source.options, read_coco(source.ann_file).sizes)
        for source in sources
        if source.kind == 'coco' and source.local and source.ann_file
    ]
    return [note for note in found if note]


def _least(options: Mapping[str, Any]) -> int:
    """The pixels of a short side; mmdet filters nothing to test on."""
    kept = options.get('test_mode') or not options.get('filter_cfg')
    return 0 if kept else options['filter_cfg'].get('min_size', 0)
