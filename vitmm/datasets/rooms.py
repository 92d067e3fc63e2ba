"""``rooms``, the embedded set for depth: drawn by this package, in the layout of NYU Depth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitmm.datasets.draw_room import draw_room
from vitmm.datasets.drawn import write_drawn
from vitmm.datasets.formats import write_jpeg
from vitmm.registry import FUNCTIONS

if TYPE_CHECKING:
    from tqdm import tqdm

VERSION = 1  # raise it when the same seed no longer gives the same bytes
SPLITS = ('train', 'test')  # their places seed the images: append only


@FUNCTIONS.register_module()
def write_rooms(
    root: str | os.PathLike = 'data/rooms', num_train: int = 600, num_test: int = 100, seed: int = 0
) -> Path:
    """Write the set into ``root``, unless it is there already.

    Safe to call from several processes at once. Layout, which is that of mmseg's NYUDataset::

        images/{train,test}/room_<number>.jpg       128 x 160 pixels
        annotations/{train,test}/room_<number>.png  16 bits: depth in millimetres
        rooms.json

    Args:
        root: Folder to write.
        num_train: Rooms to train on.
        num_test: Rooms to validate on.
        seed: Of everything random in it, 0 or more.

    Returns:
        ``root``.

    Raises:
        DataError: ``root`` holds something else, or a set of other counts, seed or version; or a
            number is negative.
    """
    counts = {'train': num_train, 'test': num_test}

    def draw(folder: Path, bar: tqdm) -> None:
        import cv2

        for split, count in counts.items():
            images, depths = folder / f'images/{split}', folder / f'annotations/{split}'
            images.mkdir(parents=True)
            depths.mkdir(parents=True)
            for index in range(count):
                room = draw_room(room_rng(seed, split, index))
                write_jpeg(images / f'room_{index:05d}.jpg', room.image)
                millimetres = np.round(room.depth * 1000).astype(np.uint16)
                png = cv2.imencode('.png', millimetres)[1]
                (depths / f'room_{index:05d}.png').write_bytes(png.tobytes())
                bar.update()

    return write_drawn(root, 'rooms', VERSION, seed, counts, draw)


def room_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one image, whatever the number of images around it."""
    return np.random.default_rng((seed, SPLITS.index(split), index))
