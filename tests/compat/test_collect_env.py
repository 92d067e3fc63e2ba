"""The description of the machine is MMEngine's, and setuptools stays out."""

import subprocess
import sys

import pytest
import torch

CODE = """
import json, sys
from mmengine.runner import runner
if 'distutils' in sys.modules:
    sys.exit('torch has imported it')
plain = runner.collect_env
from vitmm.compat import collect_env
collect_env.install()
collect_env.install()
quick = runner.collect_env()
assert 'distutils' not in sys.modules, 'a stand-in was left behind'
early = [name for name in ('setuptools', 'distutils') if name in sys.modules]
full = plain()
for found in (quick, full):
    found.pop('numpy_random_seed')
print(json.dumps([early, quick == full, sorted(quick)]))
"""


def test_the_same_without_setuptools():
    done = subprocess.run([sys.executable, '-c', CODE], capture_output=True, text=True)
    if done.stderr.endswith('torch has imported it\n'):
        pytest.skip(f'torch {torch.__version__} imports distutils by itself, as 2.6 does')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith('[[], true, ["CUDA available"')
