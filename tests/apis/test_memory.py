"""Peak memory of this process, held against an allocation of a known size."""

import sys

import numpy as np
import pytest
import torch

from vitmm.apis.memory import forget_peak, peak, resident

MIB = 2**20


@pytest.mark.skipif(
    sys.platform != 'linux' or torch.cuda.is_available(), reason='of main memory on Linux'
)
def test_a_peak_is_what_came_since_and_may_be_gone():
    before = resident()
    forget_peak()
    taken = np.ones(96 * MIB, np.uint8)
    assert resident() - before > 90 * MIB
    del taken
    assert resident() - before < 20 * MIB
    assert 90 * MIB < peak(before) < 130 * MIB
    assert peak() == pytest.approx(peak(before) + before, rel=0.01)
    forget_peak()
    assert peak(before) < 20 * MIB
