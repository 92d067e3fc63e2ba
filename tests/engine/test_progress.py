"""The bar at the foot of a terminal, as the terminal shows it."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from support import CONFIGS, ROOT, as_cfg_options, hear_ctrl_c
from terminal import Terminal

from vitmm.apis.train import train
from vitmm.engine import display
from vitmm.engine.hooks import progress
from vitmm.engine.hooks.progress import ProgressHook
from vitmm.models.halts.reads import CountReads

CLS = CONFIGS / 'cls' / 'vit_linear.py'
SMALL = {
    'image_size': 32,
    'resize_edge': 32,
    'model.backbone.model_name': 'test_resnet',
    'default_hooks.logger.interval': 2,
    'val_dataloader.batch_size': 4,
}
ITERATIONS = {
    'train_cfg._delete_': True,
    'train_cfg.type': 'IterBasedTrainLoop',
    'train_cfg.max_iters': 8,
    'train_cfg.val_interval': 4,
    'optim_wrapper.accumulative_counts': 2,
    'param_scheduler': [],
}
BAR = re.compile(r'(train|val|test) +━')


@pytest.fixture
def terminal(monkeypatch):
    """A terminal on which every picture is drawn."""
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setattr(display, '_PACE', (0.0, 0.0))
    return Terminal()


@HOOKS.register_module(force=True)
class StopAt(Hook):
    """Raises after an iteration, having printed something."""

    def __init__(self, iteration, error):
        self.iteration, self.error = iteration, error

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        print(f'printed {runner.iter}')
        if runner.iter + 1 == self.iteration:
            raise {'broken': RuntimeError('broken'), 'interrupt': KeyboardInterrupt()}[self.error]


def log_lines(work_dir):
    """The log file's entries, each as its lines behind the time."""
    text = max(work_dir.glob('*/*.log')).read_text()
    return re.split(r'^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d - ', text, flags=re.M)[1:]


def test_nothing_is_torn_and_the_log_has_every_line(terminal, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL, 'train_cfg.max_epochs': 2}
    options['custom_hooks'] = [dict(type='StopAt', iteration=-1, error='broken')]
    with terminal:
        train(CLS, work_dir=tmp_path, options=options)
        assert sys.stdout is terminal.file
    *pictures, last = terminal.screens()
    # What scrolls is the log, line by line, without what the bar says.
    entries = [entry.strip() for entry in log_lines(tmp_path)]
    entries = entries[next(i for i, e in enumerate(entries) if 'Checkpoints will' in e) : -1]
    trained = [e for e in entries if 'Epoch(train)' in e]
    assert len(trained) == 6  # two by two of 6 iterations, in 2 epochs
    kept = [e for e in trained if '[6/6]' in e]
    evaluated = [e for e in entries if 'Epoch(val)' in e and 'eta' not in e]
    said = [e for e in entries if 'Exp name' not in e and ('eta: ' not in e or e in kept)]
    lines = [re.sub(r'^\d\d/\d\d \d\d:\d\d:\d\d - ', '', line).strip() for line in last]
    first, end = lines.index(said[0]), next(i for i, e in enumerate(lines) if BAR.match(e))
    assert [line for line in lines[first:end] if not line.startswith('printed')] == said
    assert [f'printed {n}' for n in range(12)] == [one for one in last if 'printed' in one]
    assert sum(bool(BAR.match(line)) for line in last) == 1
    # The picture tells what the log does.
    foot = [[line for line in picture if BAR.match(line)] for picture in pictures]
    seen = {' '.join(lines[0].split()[2:5]) for lines in foot if lines}
    assert {f'epoch {e}/2 {i}/6' for e in (1, 2) for i in range(1, 7)} <= seen
    assert any(len(lines) == 2 and re.match(r'val +━+ +3/3  ', lines[1]) for lines in foot)
    loss = re.search(r'lr: (\S+).* loss: (\S+)', kept[-1])
    score = re.search(r'accuracy/top1: (\S+)', evaluated[-1])[1]
    second = next(line for line in last if line.startswith('      loss'))
    assert second.split() == [
        'loss',
        loss[2],
        'lr',
        f'{float(loss[1]):.2e}',
        'accuracy/top1',
        score,
    ]
    assert terminal.cursor_shown


def test_iterations_and_a_resume(terminal, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL, **ITERATIONS}
    del options['train_cfg.max_epochs']
    for begin in (0, 4):
        with Terminal() as terminal:
            runner = train(CLS, work_dir=tmp_path, resume=True, options=options)
        assert runner.iter == 8
        (tmp_path / 'iter_8.pth').unlink()
        drawn = re.findall(rb'(\d+)/8 iterations', terminal.raw)
        assert [int(n) for n in dict.fromkeys(drawn)] == list(range(begin, 9))
        assert any(
            re.match(r'val +━+ +3/3', line) for screen in terminal.screens() for line in screen
        )
    assert log_lines(tmp_path)[-1].count('8 of 8 iterations, resumed at 4') == 1


@pytest.mark.parametrize('error', ['broken', 'interrupt'])
def test_the_terminal_is_given_back(error, terminal, tiny_options, tmp_path):
    options = {
        **tiny_options,
        **SMALL,
        'train_cfg.max_epochs': 3,
        'custom_hooks': [dict(type='StopAt', iteration=8, error=error)],
    }
    kind = RuntimeError if error == 'broken' else KeyboardInterrupt
    with terminal:
        with pytest.raises(kind):
            train(CLS, work_dir=tmp_path, options=options)
        assert sys.stdout is terminal.file and sys.stderr is terminal.file
        print('the prompt')
    *_, last = terminal.screens()
    assert last[-2:] == ['the prompt', '']
    assert terminal.cursor_shown
    # What was done is told, and how to go on.
    told = log_lines(tmp_path)[-1]
    assert told == log_lines(tmp_path)[-1]
    assert f'Stopped vit_linear: {kind.__name__}.' in told
    assert re.search(r'length +1 of 3 epochs, 7 of 18 iterations', told)
    command = f'python tools/train.py {tmp_path}/vit_linear.py --work-dir {tmp_path} --resume'
    assert command in told
    assert f'last checkpoint  {tmp_path}/epoch_1.pth' in told


def test_a_user_interrupts(tiny_options, tmp_path):
    terminal = Terminal()
    options = {**tiny_options, **SMALL, 'train_cfg.max_epochs': 500}
    del options['env_cfg.mp_cfg']
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools/train.py', CLS, '--work-dir', tmp_path, '--cfg-options',
         *as_cfg_options(options)],
        stdout=terminal.file, stderr=terminal.file, cwd=ROOT, env={**os.environ, 'TERM': 'xterm'},
        preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while b'accuracy/top1 ' not in terminal.raw:
        assert process.poll() is None and time.monotonic() < deadline, terminal.raw[-3000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    terminal.close()
    *_, last = terminal.screens()
    text = '\n'.join(last)
    assert 'Traceback' not in text
    assert 'Stopped vit_linear: KeyboardInterrupt.' in text
    assert '--resume' in text
    assert terminal.cursor_shown


@pytest.mark.parametrize('why', ['no terminal', 'dumb', 'other process', 'switched off'])
def test_nothing_is_shown(why, terminal, monkeypatch):
    with terminal:
        monkeypatch.setattr(progress, 'Display', lambda *_: pytest.fail('something is shown'))
        if why == 'no terminal':
            monkeypatch.setattr(sys, 'stdout', io.StringIO())
        if why == 'dumb':
            monkeypatch.setenv('TERM', 'dumb')
        if why == 'other process':
            monkeypatch.setattr(progress, 'is_main_process', lambda: False)
        hook, runner = ProgressHook(enabled=why != 'switched off'), SimpleNamespace(iter=0)
        for begin in (hook.before_train, hook.before_val, hook.before_test):
            begin(runner)
        hook.after_train_iter(runner, 0)
        hook.after_val_epoch(runner, {})
        hook.stop()
    assert not terminal.raw


def test_metrics_of_each_class_are_passed_over(terminal):
    hook, runner = ProgressHook(), SimpleNamespace(hooks=[])
    with terminal:
        hook._display = SimpleNamespace(draw=lambda *_: None)
        hook.after_val_epoch(runner, {'precision_classwise': [1.0, 2.0], 'top1': 3.0})
        assert hook._metric == 'top1 3.0000'
        hook.after_val_epoch(runner, {'precision_classwise': [1.0, 2.0]})
        assert hook._metric == ''


def test_nothing_is_read_from_the_device(terminal, tiny_options, tmp_path, monkeypatch):
    reads = []
    plain = ProgressHook.after_train_iter

    def counted(self, *args, **kwargs):
        with CountReads() as count:
            plain(self, *args, **kwargs)
        reads.append(count.count)

    monkeypatch.setattr(ProgressHook, 'after_train_iter', counted)
    with terminal:
        train(CLS, work_dir=tmp_path, options={**tiny_options, **SMALL})
    assert reads == [0] * 6
    assert b'6/6' in terminal.raw


def test_pictures_are_few(terminal, monkeypatch):
    import logging

    monkeypatch.setattr(display, '_PACE', (0.25, 5.0))
    with terminal:
        shown = display.Display(logging.getLogger('few'))
        drawn = []
        begin = time.perf_counter()
        while time.perf_counter() < begin + 0.4:
            if time.perf_counter() >= shown.next:
                shown.draw(lambda width: drawn.append(time.perf_counter()) or width * '-')
        shown.stop()
        assert 1 <= len(drawn) <= 2
        # A terminal that takes a millisecond and more gets a picture a second, and fewer.
        shown = display.Display(logging.getLogger('few'))
        shown.draw(lambda width: time.sleep(0.002) or '-')
        assert 1.9 < shown.next - time.perf_counter() <= 5
        shown.stop()


def test_a_narrow_terminal_breaks_no_line():
    rows = [('train', 0.5, 'epoch 1/12  20/400  13.2 it/s  0:10:20 left'), ('val', 1.0, '3/3')]
    for width in (20, 40, 80, 200):
        lines = display.bars(rows, 'loss 1.0 ' * 9, width).plain.splitlines()
        assert len(lines) == 3
        assert max(map(len, lines)) < width
    full = display.bars(rows, '', 120).plain.splitlines()
    assert [line.count('━') for line in full] == [40, 40]
