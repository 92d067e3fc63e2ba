import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from vitmm.datasets import TimmEval

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear'])
def test_pixels_are_timms(crop_mode, interpolation):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (70, 101, 3), np.uint8)
    settings = dict(interpolation=interpolation, crop_pct=0.9, crop_mode=crop_mode)
    timms = create_transform(input_size=(3, 48, 48), mean=MEAN, std=STD, **settings)
    expected = timms(Image.fromarray(image))

    ours = TimmEval((48, 48), **settings).transform({'img': image[..., ::-1]})
    assert ours['img_shape'] == (48, 48)
    found = torch.from_numpy(ours['img'][..., ::-1].copy()).permute(2, 0, 1).float()
    mean, std = (255 * torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    if crop_mode == 'border':  # timm's ground is the model's mean, ours the usual one: the same
        assert found[:, 0, 24].tolist() == [round(255 * m) for m in MEAN]
    torch.testing.assert_close((found - mean) / std, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('channels', [1, 5])
def test_other_channels(channels):
    image = np.full((60, 80, channels), 7, np.float32)
    found = TimmEval((32, 32)).transform({'img': image})['img']
    assert found.shape == (32, 32, channels) and np.allclose(found, 7)
