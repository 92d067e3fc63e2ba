"""mmcv's resizing of many bands: each as if it were alone."""

import mmcv
import numpy as np
import pytest
from PIL import Image

from vitmm.compat import mmcv_resize

mmcv_resize.install()
SIZE = (33, 21)


def image(kind, *shape):
    return (np.random.default_rng(0).random(shape) * 255).astype(kind)


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 12])
def test_pillow(kind, bands):
    many = image(kind, 40, 60, bands)
    resized = mmcv.imresize(many, SIZE, interpolation='bicubic', backend='pillow')
    assert resized.shape == (21, 33, bands) and resized.dtype == kind
    for i in range(bands):
        alone = Image.fromarray(many[..., i].copy()).resize(SIZE, Image.Resampling.BICUBIC)
        assert np.array_equal(resized[..., i], np.array(alone))


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
@pytest.mark.parametrize('shape', [(40, 60), *((40, 60, bands) for bands in (1, 2, 3, 4, 12))])
@pytest.mark.parametrize('how', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('size', [SIZE, (150, 90), (60, 40)])
def test_torch_is_pillow(size, how, shape, kind):
    many = image(kind, *shape)
    for one in (many, many[:, ::-1], many[3:, 5:-4]):
        theirs = mmcv.imresize(np.ascontiguousarray(one), size, interpolation=how, backend='pillow')
        ours = mmcv.imresize(one, size, interpolation=how, backend='torch')
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == kind
        difference = np.abs(ours.astype(float) - theirs)
        # Of integers, torch's weights have fewer bits.
        assert difference.max() <= (2 if kind == 'uint8' else 0.01)
        assert kind != 'uint8' or (difference > 0).mean() < 0.03


@pytest.mark.parametrize('kind', ['uint8', 'float32'])
@pytest.mark.parametrize('bands', [4, 5, 12, 200])
@pytest.mark.parametrize('how', ['nearest', 'bilinear', 'bicubic', 'area', 'lanczos'])
def test_cv2(kind, bands, how):
    many = image(kind, 40, 60, bands)
    resized = mmcv.imresize(many, SIZE, interpolation=how)
    alone = [mmcv.imresize(many[..., i].copy(), SIZE, interpolation=how) for i in range(bands)]
    assert resized.dtype == kind
    # OpenCV's vector code rounds otherwise for other numbers of channels.
    assert np.abs(resized.astype(float) - np.dstack(alone)).max() <= (
        1 if kind == 'uint8' else 0.01
    )


@pytest.mark.parametrize('shape', [(40, 60), (40, 60, 3)])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_what_mmcv_does_well_is_left_to_it(shape, backend):
    stock = mmcv.imresize.__wrapped__
    usual = image('uint8', *shape)
    for options in ({}, {'return_scale': True}):
        ours = mmcv.imresize(usual, SIZE, backend=backend, **options)
        theirs = stock(usual, SIZE, backend=backend, **options)
        assert all(map(np.array_equal, ours, theirs))


def test_scales_and_rescaling():
    many = image('float32', 40, 60, 12)
    for backend in ('cv2', 'pillow'):
        _, *scales = mmcv.imresize(many, SIZE, return_scale=True, backend=backend)
        assert scales == [33 / 60, 21 / 40]
    assert mmcv.imrescale(many, 0.5, interpolation='area').shape == (20, 30, 12)
    mmcv_resize.install()
    assert not hasattr(mmcv.imresize.__wrapped__, '__wrapped__')  # once is enough
