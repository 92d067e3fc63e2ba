"""Peak memory of a process, held against an allocation of a known size."""

import subprocess
import sys

import pytest
import torch

# A process of its own: an old one may have so much that is free.
SCRIPT = """
import numpy as np
from vitmm.apis.memory import forget_peak, peak, resident

MIB = 2**20
before = resident()
forget_peak()
taken = np.ones(96 * MIB, np.uint8)
assert resident() - before > 90 * MIB
del taken
assert resident() - before < 20 * MIB
assert 90 * MIB < peak(before) < 130 * MIB
assert abs(peak() - peak(before) - before) < 0.01 * peak()
forget_peak()
assert peak(before) < 20 * MIB
"""


@pytest.mark.skipif(
    sys.platform != 'linux' or torch.cuda.is_available(), reason='of main memory on Linux'
)
def test_a_peak_is_what_came_since_and_may_be_gone():
    done = subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
