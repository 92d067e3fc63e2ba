"""What a loader's worker does before its first image."""

import subprocess
import sys

from support import FAULTS, needs_glibc

# Three images of 30 MiB, again and again.
COUNT = f"""
{FAULTS}
from vitmm.engine import seed_worker

def images():
    return [b'x' * (30 << 20) for _ in range(3)]

print(faults(images))
seed_worker(0)
print(faults(images))
"""


@needs_glibc
def test_a_worker_keeps_the_memory_of_its_images():
    done = subprocess.run([sys.executable, '-c', COUNT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after < 100 < before
