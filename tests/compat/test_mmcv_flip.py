"""A flip is chosen as numpy chooses, and the numbers after it stay the same."""

import numpy as np
import pytest
from mmcv.transforms import RandomFlip
from mmcv.transforms.utils import cache_random_params

from vitmm.compat import mmcv_flip

mmcv_flip.install()
ALL = ['horizontal', 'vertical', 'diagonal']


@pytest.mark.parametrize(
    ('prob', 'direction', 'shares'),
    [
        (0.5, 'horizontal', [0.5, 0.5]),
        (0.0, 'vertical', [0.0, 1.0]),
        (1.0, 'horizontal', [1.0, 0.0]),
        (0.7, ALL, [0.7 / 3] * 3 + [0.3]),
        ([0.3, 0.5], ALL[:2], [0.3, 0.5, 0.2]),
        ([0.1, 0.0, 0.9], ALL, [0.1, 0.0, 0.9, 0.0]),
    ],
)
def test_as_numpy_chooses(prob, direction, shares):
    directions = [direction] if isinstance(direction, str) else direction
    flip = RandomFlip(prob, direction)
    np.random.seed(0)
    expected = [np.random.choice([*directions, None], p=shares) for _ in range(500)]
    after = np.random.random()
    np.random.seed(0)
    assert [flip._choose_direction() for _ in range(500)] == expected
    assert np.random.random() == after


def test_what_inherits_from_it_draws_one_number():
    from mmdet.datasets.transforms import RandomFlip as OfDetection
    from mmseg.datasets.transforms import RandomFlip as OfSegmentation

    for kind in (OfDetection, OfSegmentation):
        assert kind(prob=0.5)._choose_direction.func is mmcv_flip._choose_direction


def test_a_choice_is_still_remembered():
    flip = RandomFlip(0.5)
    with cache_random_params(flip):
        assert len({flip._choose_direction() for _ in range(50)}) == 1
    assert len({flip._choose_direction() for _ in range(50)}) == 2
