"""Image folders beside hidden ones, as editors and notebooks leave them (``.ipynb_checkpoints``).

mmpretrain 1.2 and mmseg 1.2 pass over hidden files, but not over what is in hidden folders:
mmpretrain takes these for classes, which moves the number of every class behind them. Here all pass
over both.

Can go when mmpretrain and mmseg do.
"""

import os
from collections.abc import Iterator
from functools import wraps
from pathlib import PurePath
from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Correct the data sets of folders when they are imported; harmless when repeated."""
    after_import('mmpretrain.datasets.custom', _correct_classes)
    after_import('mmseg.datasets.basesegdataset', lambda module: _correct(module.BaseSegDataset))
    after_import('mmseg.datasets.nyu', lambda module: _correct(module.NYUDataset))


def _correct_classes(module: ModuleType) -> None:
    from mmengine.fileio import LocalBackend, get_file_backend

    find, is_valid = module.find_folders, module.CustomDataset.is_valid_file
    get_samples = module.get_samples

    def find_folders(root, backend=None):
        folders = [name for name in find(root, backend)[0] if not _is_hidden(name)]
        return folders, {name: label for label, name in enumerate(folders)}

    def is_valid_file(self, filename):  # relative to the folder of the class
        return not _is_hidden(filename) and is_valid(self, filename)

    @wraps(get_samples)
    def get_samples_here(root, folder_to_idx, is_valid_file, backend=None):
        """The same samples on this machine's disks, in a quarter of the time."""
        backend = backend or get_file_backend(root, enable_singleton=True)
        if type(backend) is not LocalBackend:
            return get_samples(root, folder_to_idx, is_valid_file, backend)
        if folder_to_idx is None:  # images without labels
            return [file for file in sorted(_files_below(root)) if is_valid_file(file)], None
        samples, full = [], set()
        for folder in sorted(folder_to_idx):
            label = folder_to_idx[folder]
            files = sorted(_files_below(os.path.join(root, folder)))
            found = [(os.path.join(folder, f), label) for f in files if is_valid_file(f)]
            samples += found
            full |= {folder} if found else set()
        return samples, set(folder_to_idx) - full

    module.get_samples = get_samples_here
    module.find_folders = find_folders
    module.CustomDataset.is_valid_file = is_valid_file


def _correct(dataset: type) -> None:
    stock = dataset.load_data_list

    @wraps(stock)
    def load_data_list(self):
        found = stock(self)
        if self.ann_file and not os.path.isdir(self.ann_file):
            return found  # a list that somebody wrote
        folder = self.data_prefix.get('img_path') or ''
        return [one for one in found if not _is_hidden(one['img_path'].removeprefix(folder))]

    dataset.load_data_list = load_data_list


def _files_below(folder: str, before: str = '') -> Iterator[str]:
    """The paths of all files, from ``folder`` on, but what is hidden."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            if entry.is_file():
                yield before + entry.name
            elif entry.is_dir():
                yield from _files_below(entry.path, f'{before}{entry.name}{os.sep}')


def _is_hidden(path: str) -> bool:
    if not path.startswith('.') and f'{os.sep}.' not in path:
        return False  # almost all, at once
    return any(part.startswith('.') for part in PurePath(path).parts)
