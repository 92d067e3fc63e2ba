"""Runners that are built one after the other."""

import time
from types import SimpleNamespace

from support import CONFIGS

from vitmm.apis.launch import build_runner, prepare


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
