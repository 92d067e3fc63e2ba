"""Data sets: the ones this package writes, and what it reads from any data set's files."""

from vitmm.datasets.check import check_annotations
from vitmm.datasets.classes import read_classes
from vitmm.datasets.collate import collate, stack_images
from vitmm.datasets.depth import LoadDepth
from vitmm.datasets.errors import DataError
from vitmm.datasets.image_labels import write_labelled_shapes
from vitmm.datasets.loading import CheckedLoad, ForRGB, LoadImage
from vitmm.datasets.planes import Planes
from vitmm.datasets.rooms import write_rooms
from vitmm.datasets.same_size import SameSizeBatchSampler
from vitmm.datasets.shapes import write_shapes
from vitmm.datasets.timm_eval import TimmEval
from vitmm.datasets.trees import write_trees

__all__ = [
    'CheckedLoad',
    'DataError',
    'ForRGB',
    'LoadDepth',
    'LoadImage',
    'Planes',
    'SameSizeBatchSampler',
    'TimmEval',
    'check_annotations',
    'collate',
    'read_classes',
    'stack_images',
    'write_labelled_shapes',
    'write_rooms',
    'write_shapes',
    'write_trees',
]
