"""One switch each: mixed precision, compiled blocks, channels last. The losses stay the same."""

import json
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from support import CONFIGS

from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.errors import ConfigError

RECIPES = {
    'det': CONFIGS / 'det' / 'convnext_retinanet.py',
    'seg': CONFIGS / 'seg' / 'vit_upernet.py',
    'cls': CONFIGS / 'cls' / 'convnext_linear.py',
}
SMALL = {
    'det': {'image_scale': (96, 96)},
    'seg': {'image_scale': (96, 96), 'crop_size': (96, 96)},
    'cls': {'image_size': 64, 'resize_edge': 64},
}
EAGER = [dict(type='vitmm.EpochSeedHook'), dict(type='vitmm.CompileHook', backend='eager')]
SWITCHES = [
    # bfloat16 has 8 bits: 0.4 % in each value.
    pytest.param(dict(amp=True), {}, 2e-2, id='amp'),
    pytest.param(dict(compile=True), {'custom_hooks': EAGER}, 1e-3, id='compile'),
    pytest.param(dict(channels_last=True), {}, 1e-3, id='channels_last'),
]


def first_losses(runner):
    log = Path(runner._log_dir) / 'vis_data' / 'scalars.json'
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


@pytest.fixture(scope='session')
def plain():
    """Losses of runs without a switch, by task."""
    return {}


@pytest.mark.parametrize('task', RECIPES)
@pytest.mark.parametrize('switch, more, tolerance', SWITCHES)
def test_a_switch_changes_the_speed_alone(
    task, switch, more, tolerance, plain, tiny_options, tmp_path
):
    options = {
        **tiny_options,
        **SMALL[task],
        'default_hooks.logger.interval': 1,
        'optim_wrapper.optimizer.lr': 1e-5,
    }
    if task not in plain:
        plain[task] = first_losses(train(RECIPES[task], work_dir=tmp_path / 'a', options=options))
    runner = train(RECIPES[task], work_dir=tmp_path / 'b', options={**options, **more}, **switch)
    assert first_losses(runner) == pytest.approx(plain[task], rel=tolerance)
    hooks = [type(hook).__name__ for hook in runner.hooks]
    weights = [p for p in runner.model.parameters() if p.dim() == 4]
    if 'amp' in switch:
        assert runner.optim_wrapper.dtype == 'bfloat16' and runner.val_loop.fp16
        assert hooks.count('FullPrecisionHook') == 1
    if 'compile' in switch:
        assert hooks.count('CompileHook') == 1
        assert any(m._compiled_call_impl for m in runner.model.modules())
        assert not torch._dynamo.config.optimize_ddp  # which would cut large blocks in two
    if 'channels_last' in switch:
        assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    assert {p.dtype for p in runner.model.parameters()} == {torch.float32}


def test_testing_under_autocast_gives_nearly_the_same_figures(tiny_options, tmp_path):
    options = {**tiny_options, **SMALL['cls']}
    train(RECIPES['cls'], work_dir=tmp_path, options=options)
    dumped, last = tmp_path / RECIPES['cls'].name, (tmp_path / 'last_checkpoint').read_text()
    figures = [
        evaluate(dumped, last, work_dir=tmp_path / f'{amp}', out=tmp_path / f'{amp}.pkl', amp=amp)
        for amp in (False, True)
    ]
    assert figures[0].keys() == figures[1].keys()
    scores = [
        torch.stack([s['pred_score'] for s in pickle.loads((tmp_path / f'{a}.pkl').read_bytes())])
        for a in (False, True)
    ]
    assert not torch.equal(*scores)
    torch.testing.assert_close(*scores, atol=0.02, rtol=0)


def test_another_optimiser_wrapper_is_told_of(tiny_options, tmp_path):
    options = {**tiny_options, 'optim_wrapper.type': 'ApexOptimWrapper'}
    with pytest.raises(ConfigError, match='--amp works with'):
        train(RECIPES['cls'], work_dir=tmp_path, options=options, amp=True)


@pytest.mark.parametrize(
    ('device', 'words'),
    [('cpu', r'a CPU needs a C\+\+ compiler'), ('cuda', 'a GPU needs a C compiler')],
)
def test_compiling_needs_a_compiler(device, words, tiny_options, tmp_path, monkeypatch):
    monkeypatch.setattr('shutil.which', lambda name: None)
    monkeypatch.setattr('vitmm.engine.hooks.compile.get_device', lambda: device)
    monkeypatch.delenv('CC', raising=False)
    with pytest.raises(ConfigError, match=words):
        train(RECIPES['cls'], work_dir=tmp_path, options=tiny_options, compile=True)


def test_accumulated_gradients_are_no_wrong_order_of_calls(tiny_options, tmp_path):
    """MMEngine warns where a schedule is asked before the first step."""
    options = {
        **tiny_options,
        **SMALL['cls'],
        'model.backbone.model_name': 'test_resnet',
        'optim_wrapper.accumulative_counts': 2,
    }
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        train(RECIPES['cls'], work_dir=tmp_path, options=options)
    assert not [one for one in seen if 'scheduler.step' in str(one.message)]
