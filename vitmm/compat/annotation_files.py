"""The annotation files of pycocotools and lvis, read by the faster parser, and once a start.

Both parse a file with Python's ``json``; see :mod:`vitmm.datasets.json_files`. Can go when they
take a parsed file.
"""

from functools import wraps
from types import ModuleType
from typing import Any

from vitmm.compat.after_import import after_import


def install() -> None:
    """Replace how each reads when it is imported; harmless when repeated."""
    after_import('pycocotools.coco', _correct_coco)
    after_import('lvis.lvis', _correct_lvis)


def _correct_coco(module: ModuleType) -> None:
    stock = module.COCO.__init__

    @wraps(stock)
    def init(self, annotation_file: Any = None) -> None:
        stock(self)
        if annotation_file is not None:
            from vitmm.collector import paused
            from vitmm.datasets.json_files import take_json

            self.dataset = take_json(annotation_file)
            with paused():
                self.createIndex()

    module.COCO.__init__ = init


def _correct_lvis(module: ModuleType) -> None:
    def load(self, path: Any) -> Any:
        from vitmm.datasets.json_files import take_json

        return take_json(path)

    module.LVIS._load_json = load
