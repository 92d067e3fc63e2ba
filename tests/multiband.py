"""The ``shapes`` data set as TIFFs of any number of bands, in any type."""

import json
from pathlib import Path

import cv2
import numpy as np
import tifffile

FULL = {'uint8': 255, 'uint16': 65535, 'float32': 1.0}


def bands_of(image: np.ndarray, bands: int, kind: str) -> np.ndarray:
    """(H, W, bands) made of (H, W, 3) BGR: grey, or RGB, grey and darker copies of the four."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
    four = np.dstack([image[..., ::-1], grey]) / 255
    made = grey / 255 if bands == 1 else np.dstack([four / (1 + i) for i in range(-(-bands // 4))])
    return (made[..., :bands] * FULL[kind]).astype(kind)


def write_tiff(path: Path, image: np.ndarray, planar: bool = False, **options) -> None:
    """Write (H, W, bands) as satellite products come: interleaved or planar, deflated."""
    bands = image.shape[2]
    if bands == 1:
        image, planar = image[..., 0], None
    elif planar:
        image = image.transpose(2, 0, 1)
    layout = {True: 'separate', False: 'contig', None: None}[planar]
    options = {'photometric': 'minisblack', 'compression': 'zlib', **options}
    tifffile.imwrite(path, image, planarconfig=layout, **options)


def write_multiband(shapes: Path, root: Path, bands: int, kind: str) -> Path:
    """Write ``shapes`` once more, its images as TIFFs; every other one is planar."""
    sources = sorted([*shapes.glob('JPEGImages/*.jpg'), *shapes.glob('imagefolder/**/*.jpg')])
    for number, source in enumerate(sources):
        path = (root / source.relative_to(shapes)).with_suffix('.tif')
        path.parent.mkdir(parents=True, exist_ok=True)
        image = bands_of(cv2.imread(str(source)), bands, kind)
        write_tiff(path, image, planar=number % 2 == 1)
    for name in ('SegmentationClass', 'ImageSets'):
        (root / name).symlink_to(shapes / name)
    for split in ('train', 'val'):
        text = (shapes / f'coco/instances_{split}.json').read_text()
        (root / f'{split}.json').write_text(json.dumps(json.loads(text.replace('.jpg', '.tif'))))
    return root
