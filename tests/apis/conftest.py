"""Inputs of predicting."""

import pickle

import cv2
import pytest
from predictions import config_of

from vitmm.apis.test import test as evaluate


@pytest.fixture
def dumped(tmp_path):
    """A function: what tools/test.py --out tells of each image of the test set, by its path."""

    def dump(checkpoint, **options):
        options.setdefault('test_dataloader.batch_size', 1)
        evaluate(
            config_of(checkpoint),
            checkpoint,
            work_dir=tmp_path / 'test',
            out=tmp_path / 'out.pkl',
            options=options,
        )
        samples = pickle.loads((tmp_path / 'out.pkl').read_bytes())
        return {sample['img_path']: sample for sample in samples}

    return dump


@pytest.fixture
def clip(tiny_shapes, tmp_path):
    """A video of seven frames."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (96, 64))
    for image in sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:7]:
        writer.write(cv2.resize(cv2.imread(str(image)), (96, 64)))
    writer.release()
    return path


@pytest.fixture
def images(tiny_shapes, tmp_path):
    """A folder with folders, names that meet, one file that is no image, and results of old."""
    folder = tmp_path / 'images'
    sources = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    for name, source in zip(('a.jpg', 'b/a.jpg', 'b/c.jpg', 'out/old.jpg'), sources, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())
    cv2.imwrite(str(folder / 'a.png'), cv2.imread(str(sources[5])))
    (folder / 'b/notes.txt').write_text('no image')
    return folder
