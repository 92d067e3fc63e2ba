"""mmcv's hues that turn backwards, against torchvision's."""

import subprocess
import sys

import mmcv
import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional as F

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize('hue', [-0.5, -0.1, -0.004, 0.0, 0.1, 0.5])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_hues_are_torchvisions(hue, backend):
    found = mmcv.adjust_hue(IMAGE[..., ::-1], hue, backend)[..., ::-1]
    expected = np.asarray(F.adjust_hue(Image.fromarray(IMAGE), hue))
    if backend == 'pillow':  # as torchvision has it
        assert np.array_equal(found, expected)
    else:  # OpenCV's conversion has more steps
        assert np.abs(found.astype(int) - expected).mean() < 3


def test_other_hues_are_refused():
    with pytest.raises(ValueError, match=r'-0\.6'):
        mmcv.adjust_hue(IMAGE, -0.6)


@pytest.mark.parametrize('first', ['mmcv', 'vitmm'])
def test_whichever_is_imported_first(first):
    code = (
        f'import {first}, vitmm, mmcv, mmcv.image, numpy as np\n'
        'image = np.ones((2, 2, 3), np.uint8)\n'
        'mmcv.adjust_hue(image, -0.2), mmcv.image.adjust_hue(image, -0.2)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
