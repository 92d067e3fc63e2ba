"""Runners that are built one after the other."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from support import CONFIGS, FAULTS, needs_glibc

from vitmm.apis.launch import build_runner, prepare

# The same arrays, before a Runner is built and after it.
CHURN = f"""
{FAULTS}
import sys
import torch
from vitmm.apis.launch import build_runner, prepare

def arrays():
    return [torch.ones(2**20) for _ in range(6)]

import ctypes
ctypes.CDLL(None).mallopt(-3, 2**17)  # glibc's own threshold, which moves by what was freed
ctypes.CDLL(None).mallopt(-1, 2**17)
before = faults(arrays, 5)
options = {{'data_root': sys.argv[2] + '/data', 'prepare_data.root': sys.argv[2] + '/data',
           'prepare_data.num_train': 1, 'prepare_data.num_val': 1,
           'prepare_data.num_cls_train': 6, 'prepare_data.num_cls_val': 6}}
build_runner(prepare(sys.argv[1], options=options, work_dir=sys.argv[2]))
print(before, faults(arrays, 5))
"""


def test_runs_of_one_second_share_nothing(tiny_options, tmp_path, monkeypatch):
    """Also where one is of the config that another has stored, with its name."""
    stopped = SimpleNamespace(time=lambda: 0.0, strftime=time.strftime, localtime=time.localtime)
    monkeypatch.setattr('mmengine.runner.runner.time', stopped)
    recipe = CONFIGS / 'cls' / 'vit_linear.py'
    runners = []
    for number, name in enumerate(('plain', 'again', 'stored', 'stored again')):
        stored = tmp_path / 'again' / recipe.name
        config = prepare(
            recipe if number < 2 else stored,
            options=tiny_options if number < 2 else None,
            work_dir=tmp_path / name,
        )
        runners.append(build_runner(config))
    assert len({runner.timestamp for runner in runners}) == 1
    assert len({runner.experiment_name for runner in runners}) == len(runners)
    assert len({id(runner.message_hub) for runner in runners}) == len(runners)


def test_a_hook_of_ours_can_be_left_out(tiny_options, tmp_path):
    """MMEngine takes None for its own hooks only."""
    options = {**tiny_options, 'default_hooks.progress': None, 'default_hooks.timer': None}
    recipe = CONFIGS / 'cls' / 'vit_linear.py'
    runner = build_runner(prepare(recipe, options=options, work_dir=tmp_path))
    names = {type(hook).__name__ for hook in runner.hooks}
    assert names >= {'LoggerHook', 'EpochSeedHook'}
    assert not names & {'ProgressHook', 'IterTimerHook'}


@needs_glibc
@pytest.mark.skipif(torch.cuda.is_available(), reason='of training on a CPU')
def test_iterations_use_their_memory_again(tmp_path):
    """In a process of its own, as malloc's settings are the process's."""
    done = subprocess.run(
        [sys.executable, '-c', CHURN, CONFIGS / 'cls' / 'vit_linear.py', tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(int, done.stdout.split()[-2:])
    assert before > 10 * 1000  # pages, or there is nothing to save
    assert after < before / 20
