"""Inputs of predicting."""

import pickle

import cv2
import numpy as np
import pytest
import torch
from predictions import config_of
from support import CONFIGS

from vitmm.apis.test import test as evaluate
from vitmm.config.load import load_config
from vitmm.config.resolve import resolve
from vitmm.visualization.opening import open_model


@pytest.fixture
def dumped(tmp_path):
    """A function: what tools/test.py --out tells of each image of the test set, by its path."""

    def dump(checkpoint, tta=False, **options):
        options.setdefault('test_dataloader.batch_size', 1)
        evaluate(
            config_of(checkpoint),
            checkpoint,
            work_dir=tmp_path / 'test',
            out=tmp_path / 'out.pkl',
            tta=tta,
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


@pytest.fixture
def picture(tiny_shapes):
    """A function: a picture of a size, (H, W, 3) uint8 BGR, and as the input of an export."""

    def read(height, width):
        path = min((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
        image = cv2.resize(cv2.imread(str(path)), (width, height))
        return image, image[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)

    return read


@pytest.fixture(scope='module')
def untrained(tiny_shapes, tmp_path_factory):
    """A function: a checkpoint of a recipe with random weights, as training stores it."""

    def save(recipe, name, **options):
        options |= {'data_root': str(tiny_shapes), 'prepare_data': None, 'env_cfg.mp_cfg': {}}
        options['model.backbone.model_name'] = name
        text = resolve(load_config(CONFIGS / recipe, None, options)).pretty_text
        torch.manual_seed(0)
        predictor, _ = open_model(CONFIGS / recipe, options=options, device='cpu')
        if hasattr(predictor.model, 'level_embed'):  # mmdet leaves it to training
            torch.nn.init.normal_(predictor.model.level_embed)
        path = tmp_path_factory.mktemp('stored') / 'epoch_1.pth'
        path.with_name('recipe.py').write_text(text)
        meta = {'cfg': text, 'dataset_meta': {'classes': predictor.classes}}
        torch.save({'state_dict': predictor.model.state_dict(), 'meta': meta}, path)
        return path

    return save
