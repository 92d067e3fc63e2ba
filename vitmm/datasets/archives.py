"""Data sets that come packed into a few files, written as a folder a class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from torchvision import datasets
from tqdm import tqdm

from vitmm.datasets.atomic import write_once
from vitmm.datasets.errors import DataError

MANIFEST = 'archive.json'


def _by_train(kind: type) -> Callable:
    return lambda root, split: kind(root, train=split == 'train')


def _stl10(root: str, split: str) -> datasets.VisionDataset:
    return datasets.STL10(root, split={'train': 'train', 'val': 'test'}[split])


# torchvision's readers, which check the files; what comes as images needs none.
READERS = {
    'cifar10': _by_train(datasets.CIFAR10),
    'cifar100': _by_train(datasets.CIFAR100),
    'mnist': _by_train(datasets.MNIST),
    'fashion-mnist': _by_train(datasets.FashionMNIST),
    'kmnist': _by_train(datasets.KMNIST),
    'stl10': _stl10,
}


def write_archive(name: str, source: str | os.PathLike, out: str | os.PathLike) -> Path:
    """Write ``train/<class>/00000.png`` and ``val/…`` (the test images), without any loss.

    Class folders are called after the classes, and numbered before where their order would
    otherwise be another than that of the labels. Written once and whole.

    Args:
        name: of :data:`READERS`.
        source: the folder into which torchvision would download the set: for CIFAR-10 the one
            with ``cifar-10-batches-py`` in it.
        out: the folder to write.

    Returns:
        ``out``.

    Raises:
        DataError: the files are missing or not whole, or ``out`` holds something else.
    """
    source = Path(source)
    if not source.is_dir():
        raise DataError(f'--from {source}: there is no such folder')
    return write_once(out, MANIFEST, {'archive': name}, lambda folder: _write(name, source, folder))


def _write(name: str, source: Path, folder: Path) -> None:
    for split in ('train', 'val'):
        try:
            images = READERS[name](str(source), split)
        except Exception as error:  # torchvision raises many kinds
            reason = (str(error).splitlines() or ['no reason given'])[0].rstrip('.')
            raise DataError(
                f'{name} cannot be read from {source}: {type(error).__name__}: {reason}. Give '
                'the folder that torchvision downloads it into, with the unpacked files in it.'
            ) from error
        names = _folder_names(images.classes)
        for one in names:
            (folder / split / one).mkdir(parents=True)
        counts: Counter[int] = Counter()
        for number in tqdm(range(len(images)), desc=f'{name} {split}'):
            image, label = images[number]
            image.save(folder / split / names[label] / f'{counts[label]:05d}.png')
            counts[label] += 1


def _folder_names(classes: list[str]) -> list[str]:
    """Names whose order is that of the labels."""
    names = [one.replace('/', '_').replace(' ', '_') for one in classes]
    if names == sorted(names):
        return names
    digits = len(str(len(names) - 1))
    return [f'{label:0{digits}d}_{one}' for label, one in enumerate(names)]
