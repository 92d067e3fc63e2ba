"""The annotation files of pycocotools and lvis, read by the faster parser, and once a start.

Both parse a file with Python's ``json``; see :mod:`vitmm.datasets.json_files`. Can go when they
take a parsed file.
"""

import os
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
        if annotation_file is None or not os.path.isfile(annotation_file):
            return stock(self, annotation_file)  # with its own error
        from vitmm.collector import paused
        from vitmm.datasets.json_files import take_json

        stock(self)
        self.dataset = take_json(annotation_file)
        assert isinstance(self.dataset, dict), f'{annotation_file} is not in the format of COCO'
        with paused():
            self.createIndex()
        return None

    module.COCO.__init__ = init


def _correct_lvis(module: ModuleType) -> None:
    def load(self, path: Any) -> Any:
        from vitmm.datasets.json_files import take_json

        return take_json(path)

    module.LVIS._load_json = load
