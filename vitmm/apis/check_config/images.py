"""How many images a data set lists, without opening any."""

from collections.abc import Mapping
from typing import Any

from vitmm.config.kinds import kind_of
from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import read_lines
from vitmm.datasets.label_file import read_labels
from vitmm.datasets.sources import leaves, read_source

_LISTED = ('folder', 'voc', 'seg', 'depth')  # an image a line
_SIMPLE = ('RepeatDataset', 'ConcatDataset')


def count_images(dataset: Mapping[str, Any] | None, scope: str | None) -> int | None:
    """The images of a data set that a file lists; None where no file on this machine does.

    Images that the data set's own filter drops are counted: there are no more than this.
    """
    if not dataset:
        return None
    times = dataset.get('times', 1) if 'dataset' in dataset else 1
    if 'dataset' in dataset and kind_of(dataset) not in _SIMPLE:
        return None
    total = 0
    for leaf in leaves(dataset):
        try:
            source = read_source(leaf, scope)
            if not source.local or not source.ann_file:
                return None
            if source.kind == 'coco':
                total += len(read_coco(source.ann_file).file_names)
            elif source.kind == 'multilabel':
                total += len(read_labels(source.ann_file).images)
            elif source.kind in _LISTED:
                total += len(read_lines(source.ann_file))
            else:  # somebody's own
                return None
        except DataError:
            return None
    return times * total
