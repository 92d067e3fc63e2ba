import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/prepare_data.py'


def run(*arguments):
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize('arguments', [['--help'], ['shapes', '--help'], ['trees', '--help']])
def test_help_is_quick(arguments):
    start = time.monotonic()
    done = run(*arguments)
    assert done.returncode == 0 and 'usage' in done.stdout
    assert time.monotonic() - start < 2  # 0.1 s; importing what it runs takes longer than this


def test_it_writes_shapes_and_says_what_is_wrong(tmp_path):
    counts = ['--num-train=1', '--num-val=1', '--num-cls-train=6', '--num-cls-val=6']
    out = tmp_path / 'shapes'
    done = run('shapes', '--out', out, *counts)
    assert done.returncode == 0, done.stderr
    assert 'is ready' in done.stdout and (out / 'coco/instances_val.json').exists()

    again = run('shapes', '--out', out, *counts, '--seed=1')
    assert again.returncode == 1
    assert again.stderr.startswith('error: ') and 'seed: 0 there, 1 asked for' in again.stderr
    assert 'Traceback' not in again.stderr
