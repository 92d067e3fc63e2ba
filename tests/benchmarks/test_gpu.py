"""What benchmarks/gpu.py does about steps that fail, hang or come too late; and counting halts."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from types import SimpleNamespace

import full_size
import gpu
import graphs
import halts
import measure_hook
import pytest
import stock
import torch
from gpu import Step
from mmengine.hooks import LoggerHook
from mmengine.registry import init_default_scope
from mmengine.runner import get_priority
from support import ROOT

from vitmm.config import load_config, resolve
from vitmm.registry import MODELS


def python(name, code, limit=60, **settings):
    return Step(name, ('-c', code, *(settings.pop('words', ()))), limit, **settings)


def test_what_has_ended_and_waits_to_be_asked_is_not_waited_for():
    child = subprocess.Popen([sys.executable, '-c', ''], start_new_session=True)
    until = time.monotonic() + 30
    while gpu.group_lives(child.pid):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(child.pid, 0)  # it is there
    assert child.wait() == 0
    child = subprocess.Popen(['sleep', '60'], start_new_session=True)
    assert gpu.group_lives(child.pid)
    gpu.end(child, (signal.SIGKILL,))
    assert child.returncode and not gpu.group_lives(child.pid)


def test_the_peak_of_a_training_is_none_of_its_validation(monkeypatch, tmp_path):
    """MMEngine's log forgets the peak on a GPU, and a validation follows the last iteration."""
    peaks = iter([5, 9, 3])
    monkeypatch.setattr(measure_hook, 'peak', lambda: next(peaks) * measure_hook.MIB)
    hook = measure_hook.MeasureHook(tmp_path / 'row.json', parts=1)
    layer = torch.nn.Linear(2, 2)
    wrapper = SimpleNamespace(optimizer=torch.optim.SGD(layer.parameters(), lr=1))
    runner = SimpleNamespace(optim_wrapper=wrapper)
    for _ in range(3):
        hook.after_train_iter(runner)
    hook.after_train(runner)
    assert json.loads((tmp_path / 'row.json').read_text())['peak'] == 9
    assert get_priority(hook.priority) < get_priority(LoggerHook.priority)


def test_a_step_that_fails_or_hangs_stops_no_other(tmp_path, capsys):
    sleeper = (
        'import subprocess, sys, time; print("| begun |");'
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]);'
        f'open({str(tmp_path / "child")!r}, "w").write(str(child.pid)); time.sleep(60)'
    )
    writes = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('[1]'); print('| done |')"
    steps = [
        python('fails', 'raise SystemExit("why it fails")'),
        python('hangs', sleeper, limit=1),
        python('works', writes, words=('{json}',)),
        python('tests', 'print("x\\n" * 99 + "3 passed")', table=False),
    ]
    start = time.monotonic()
    gpu.LEAST, least = 0, gpu.LEAST
    try:
        assert gpu.run_all(steps, 60, tmp_path, 'A card.') == 1
    finally:
        gpu.LEAST = least
    assert time.monotonic() - start < 30
    told = json.loads((tmp_path / 'figures.json').read_text())
    codes = {row['name']: row['code'] for row in told['steps']}
    assert codes == {'fails': 1, 'hangs': 'stopped after 1 s', 'works': 0, 'tests': 0}
    assert told['steps'][2]['figures'] == [1]
    text = (tmp_path / 'summary.md').read_text()
    assert text == capsys.readouterr().out.rstrip('\n') + '\n'
    for part in ('A card.', 'why it fails', '| begun |', '| done |', '3 passed'):
        assert part in text
    assert text.count('x\n') < 30 and (tmp_path / 'log.txt').read_text().count('x\n') == 99
    child = (tmp_path / 'child').read_text()
    state = subprocess.run(['ps', '-o', 'stat=', '-p', child], capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ('', 'Z')  # what a step started ends with it


def test_what_there_is_no_time_for_is_told(tmp_path):
    steps = [python('first', 'pass'), python('second', 'pass')]
    assert gpu.run_all(steps, gpu.LEAST + 0.01, tmp_path, '') == 0
    first, second = json.loads((tmp_path / 'figures.json').read_text())['steps']
    assert (first['code'], second['code']) == (0, gpu.LEFT_OUT)
    assert 'seconds' not in second


def command(*words):
    return subprocess.run(
        [sys.executable, ROOT / 'benchmarks' / 'gpu.py', *words], capture_output=True, text=True
    )


def test_dry_run_lists_the_steps():
    done = command('--dry-run')
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [step.name for step in gpu.STEPS]
    assert '-m pytest -m cuda' in lines[0] and '--full-size' in lines[1]
    wanted = command('--dry-run', 'swin*', 'halts', 'swin').stdout.splitlines()
    names = [line.split()[0] for line in wanted]
    assert names == ['swin', 'swin_compiled', 'swin_validation', 'swin_again', 'halts']
    unknown = command('nothing')
    assert unknown.returncode == 1 and 'no step is called nothing' in unknown.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu(tmp_path):
    done = command('--out', tmp_path / 'out')
    assert done.returncode == 1
    assert done.stderr.startswith('error: torch') and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / 'out').exists()


def test_torchrun_is_told_to_end_its_processes():
    first = {step.name: step.signals[0] for step in gpu.STEPS}
    assert first.pop('tests') == signal.SIGINT  # of which pytest tells its failures
    assert set(first.values()) == {signal.SIGTERM}  # of SIGINT subprocess.run makes a SIGKILL


def test_the_files_of_the_steps_are_there():
    for step in gpu.STEPS:
        for word in step.words:
            if word.startswith(('benchmarks/', 'configs/')):
                assert (ROOT / word).is_file()


def test_halts_are_counted_where_they_were_asked_for(monkeypatch):
    modes, counts = [], Counter()
    monkeypatch.setattr(torch.cuda, 'set_sync_debug_mode', modes.append)
    code = (
        "import warnings\ndef read():\n    warnings.warn('called a synchronizing CUDA operation')"
    )
    names = {}
    exec(compile(code, '/site/mmdet/heads.py', 'exec'), names)
    with halts.SyncWatch(lambda: counts.update([halts.whose()])):
        for _ in range(3):
            names['read']()
        warnings.warn('of another kind', stacklevel=1)
    assert modes == ['warn', 'default']
    assert counts == {('mmdet', 'mmdet: read'): 3}


@pytest.mark.parametrize('row', full_size.OURS)
def test_full_size_rows_have_their_stock_parts(row, tmp_path):
    options = full_size.write_data(tmp_path / 'data', row[:3], 3)
    recipe = full_size.write_recipe(row, tmp_path)
    ours = resolve(load_config(recipe, options=options))
    plain = stock.to_stock(ours, **full_size.STOCK[row])
    assert 'vitmm' not in str(plain.to_dict())
    if row.startswith('det/vit'):  # the others build on real devices alone
        init_default_scope(ours.default_scope)
        with torch.device('meta'):
            sides = [MODELS.build(config.model) for config in (ours, plain)]
        counts = [sum(p.numel() for p in side.parameters()) for side in sides]
        assert counts[0] == counts[1] > 9e7


def test_full_size_data_is_as_the_annotations_say(tmp_path):
    import cv2

    full_size.write_data(tmp_path, 'det', full_size.FILES + 2)
    told = json.loads((tmp_path / 'a.json').read_text())
    assert len(told['images']) == full_size.FILES + 2
    for image in told['images'][:5] + told['images'][-2:]:
        shape = cv2.imread(str(tmp_path / 'i' / image['file_name'])).shape
        assert shape == (image['height'], image['width'], 3)
    for one in told['annotations']:
        xs, ys = one['segmentation'][0][::2], one['segmentation'][0][1::2]
        x, y, width, height = one['bbox']
        assert min(xs) == pytest.approx(x) and max(ys) == pytest.approx(y + height)
        assert max(xs) - min(xs) == pytest.approx(width)


def test_graphs_are_few(monkeypatch):
    monkeypatch.setattr(graphs, 'SIZES', graphs.SIZES[:3])
    row = graphs.measure('test_vit', 1, 'eager', 'cpu')
    assert row['parts'] > 1 and row['ratio'] > 0
    assert row['graphs'] == sorted(row['graphs']) and 1 <= row['graphs'][-1] <= 2
