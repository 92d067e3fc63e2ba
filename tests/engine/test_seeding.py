"""What a loader's worker does before its first image."""

import platform
import subprocess
import sys

import pytest

# Pages that the system hands out again and again, for three images of 30 MiB, freed at once.
COUNT = """
import resource
from vitmm.engine import seed_worker

def faults():
    for turn in range(2):  # the first makes room
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        images = [b'x' * (30 << 20) for _ in range(3)]
        del images
        seen = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return seen

print(faults())
seed_worker(0)
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='a setting of glibc')
def test_a_worker_keeps_the_memory_of_its_images():
    done = subprocess.run([sys.executable, '-c', COUNT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after < 100 < before
