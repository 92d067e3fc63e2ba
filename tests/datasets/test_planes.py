"""Images laid out in planes are the same images, and nothing is left to do for the packing."""

import numpy as np
import pytest

from vitmm.datasets import Planes
from vitmm.datasets.planes import BAND

FLIPS = [np.s_[:, :], np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1], np.s_[5:30, 7:50], np.s_[::2]]


@pytest.mark.parametrize('kind', ['uint8', 'float32', 'int64', 'float16', 'bool'])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 12])
@pytest.mark.parametrize('view', FLIPS, ids=str)
def test_values_stay(view, bands, kind):
    image = (np.random.default_rng(0).random((40, 60, bands)) * 255).astype(kind)
    before = image.copy()
    laid = Planes().transform({'img': image[view]})['img']
    assert np.array_equal(laid, before[view]) and laid.dtype == kind
    assert np.array_equal(image, before)
    if bands > 1:
        assert laid.transpose(2, 0, 1).flags.c_contiguous


@pytest.mark.parametrize('view', FLIPS[:4], ids=str)
@pytest.mark.parametrize('height', [1, 600])
def test_more_than_one_band_is_flipped(height, view):
    image = np.random.default_rng(0).integers(0, 256, (height, 500, 3), dtype=np.uint8)
    assert height == 1 or (image.nbytes > 2 * BAND and image.nbytes % BAND)
    laid = Planes().transform({'img': image[view]})['img']
    assert np.array_equal(laid, image[view]) and laid.transpose(2, 0, 1).flags.c_contiguous


@pytest.mark.parametrize('view', FLIPS[:4], ids=str)
def test_what_lies_in_planes_already(view):
    planes = np.random.default_rng(0).integers(0, 256, (3, 40, 60), dtype=np.uint8)
    before, image = planes.copy(), planes.transpose(1, 2, 0)[view]
    laid = Planes().transform({'img': image})['img']
    assert np.array_equal(laid, image) and np.array_equal(planes, before)
    assert laid.transpose(2, 0, 1).flags.c_contiguous
    assert np.shares_memory(laid, planes) == (view == FLIPS[0])


def test_grey_without_a_third_axis_passes():
    image = np.zeros((40, 60), np.uint8)
    assert Planes().transform({'img': image})['img'] is image


@pytest.mark.parametrize('packer', ['mmdet.PackDetInputs', 'mmseg.PackSegInputs'])
@pytest.mark.parametrize('view', FLIPS, ids=str)
def test_packed_is_packed(packer, view):
    import mmseg.datasets  # noqa: F401  (registers the transforms)

    from vitmm.registry import TRANSFORMS

    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)[view]
    pack = TRANSFORMS.build(dict(type=packer, meta_keys=()))
    plain = pack({'img': image})['inputs']
    laid = Planes().transform({'img': image})['img']
    planes = pack({'img': laid})['inputs']
    assert planes.equal(plain) and planes.is_contiguous()
    assert planes.data_ptr() == laid.ctypes.data  # not copied again
