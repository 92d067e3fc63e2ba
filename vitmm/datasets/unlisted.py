"""Data whose classes nobody has listed, so that mmdet looks for COCO's or VOC's own."""

from collections.abc import Mapping
from typing import Any

from vitmm.datasets.classes import given_classes, names_in_voc, show_names
from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import read_lines
from vitmm.datasets.sources import dataset_class, leaves, read_source

_OWN = {'coco': 'CocoDataset', 'voc': 'VOCDataset'}
_LOOKED_AT = 500  # of VOC's files, of which there may be thousands: classes of one's own show early


def unlisted_classes(dataset: Mapping[str, Any], scope: str | None) -> str | None:
    """That boxes of a data set would be left out, and no word of it said; None where none are.

    A data set of mmdet's ``CocoDataset`` that lists no classes has COCO's 80, whatever is in its
    file, and ``VOCDataset`` VOC's 20. Where all of the file's are among these, somebody may have
    left the others out.

    Args:
        dataset: the config of a data set, wrapped or not; what cannot be read is no matter here.
        scope: the config's ``default_scope``.
    """
    for leaf in leaves(dataset):
        try:
            source = read_source(leaf, scope)
            if source.kind not in _OWN or not source.local or given_classes(leaf) is not None:
                continue
            from mmdet import datasets  # not where other packages read the data

            own = getattr(dataset_class(leaf, scope), 'METAINFO', None)
            if own is not getattr(datasets, _OWN[source.kind]).METAINFO or not source.ann_file:
                continue
            if source.kind == 'coco':
                found = read_coco(source.ann_file).classes
            else:
                found = names_in_voc(source, read_lines(source.ann_file)[:_LOOKED_AT])
        except (DataError, OSError):
            continue
        if lost := [name for name in found if name not in own['classes']]:
            return (
                f'{source.ann_file}: its classes are {show_names(found)}, and the config lists '
                f"none, so that mmdet would look for {source.kind.upper()}'s "
                f'{len(own["classes"])} and leave {show_names(lost)} out: write '
                'metainfo=dict(classes="${data.classes}") into the data sets of all loaders, and '
                'num_classes="${data.num_classes}" into the heads'
            )
    return None
