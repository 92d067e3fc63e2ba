"""Image folders beside hidden ones, as editors and notebooks leave them (``.ipynb_checkpoints``).

mmpretrain 1.2 passes over hidden files and takes hidden folders for classes, which moves the number
of every class behind them. Here it passes over both.

Can go when mmpretrain does.
"""

from pathlib import PurePath
from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Correct mmpretrain's data set of folders when it is imported; harmless when repeated."""
    after_import('mmpretrain.datasets.custom', _correct)


def _correct(module: ModuleType) -> None:
    find, is_valid = module.find_folders, module.CustomDataset.is_valid_file

    def find_folders(root, backend=None):
        folders = [name for name in find(root, backend)[0] if not name.startswith('.')]
        return folders, {name: label for label, name in enumerate(folders)}

    def is_valid_file(self, filename):  # relative to the folder of the class
        hidden = any(part.startswith('.') for part in PurePath(filename).parts)
        return not hidden and is_valid(self, filename)

    module.find_folders = find_folders
    module.CustomDataset.is_valid_file = is_valid_file
