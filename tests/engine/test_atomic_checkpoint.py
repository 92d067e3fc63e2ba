"""Checkpoints are whole, and there, whenever a run is stopped."""

import logging
import signal
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import save_checkpoint

from vitmm.engine.hooks import AtomicCheckpointHook, atomic_checkpoint

SCORE = 'accuracy/top1'


@pytest.fixture
def runner(tmp_path):
    """What the hook sees of a runner; its weights are the number of the epoch."""
    run = SimpleNamespace(
        work_dir=str(tmp_path),
        logger=logging.getLogger(__name__),
        message_hub=MessageHub(str(tmp_path)),
        epoch=0,
        iter=0,
        max_epochs=9,
    )

    def save(out_dir, filename, *args, backend_args, **kwargs):
        weights = {'state_dict': {'epoch': torch.tensor(run.epoch)}}
        save_checkpoint(weights, f'{out_dir}/{filename}', backend_args=backend_args)

    run.save_checkpoint = save
    return run


def hook_of(runner, **settings):
    hook = AtomicCheckpointHook(save_best=SCORE, rule='greater', **settings)
    hook.before_train(runner)
    return hook


def epoch(hook, runner, score=None):
    """Save, count on, and validate, as MMEngine's loop does."""
    hook.after_train_epoch(runner)
    runner.epoch += 1
    if score is not None:
        hook.after_val_epoch(runner, {SCORE: score})


def there(tmp_path):
    return sorted(path.name for path in tmp_path.glob('*.pth'))


def test_as_many_are_kept_as_were_asked_for(runner, tmp_path):
    hook = hook_of(runner, interval=1, max_keep_ckpts=1)
    for score in (1.0, 3.0, 2.0):
        epoch(hook, runner, score)
    assert there(tmp_path) == ['best_accuracy_top1_epoch_2.pth', 'epoch_3.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')
    assert torch.load(tmp_path / 'best_accuracy_top1_epoch_2.pth')['state_dict']['epoch'] == 2


@pytest.mark.parametrize('kind', ['last', 'best'])
def test_what_cannot_be_written_costs_no_older_one(kind, runner, tmp_path, monkeypatch):
    hook = hook_of(runner, interval=1, max_keep_ckpts=1)
    epoch(hook, runner, 1.0)
    before = there(tmp_path)

    def full(path, content):
        raise OSError('No space left on device')

    if kind == 'best':
        runner.epoch += 1
    monkeypatch.setattr(atomic_checkpoint, 'write_whole', full)
    with pytest.raises(OSError, match='No space'):
        if kind == 'best':
            hook.after_val_epoch(runner, {SCORE: 2.0})
        else:
            hook.after_train_epoch(runner)
    assert there(tmp_path) == before == ['best_accuracy_top1_epoch_1.pth', 'epoch_1.pth']


def test_one_that_is_written_again_stays(runner, tmp_path, monkeypatch):
    hook = hook_of(runner, interval=1, max_keep_ckpts=1)
    epoch(hook, runner, 1.0)
    runner.epoch = 0  # resumed from elsewhere: the first epoch comes again, and is better
    epoch(hook, runner, 2.0)
    assert there(tmp_path) == ['best_accuracy_top1_epoch_1.pth', 'epoch_1.pth']
    monkeypatch.chdir(tmp_path.parent)
    runner.epoch, runner.work_dir = 0, f'./{tmp_path.name}'
    again = hook_of(runner, interval=1, max_keep_ckpts=1)
    epoch(again, runner, 3.0)
    assert there(tmp_path) == ['best_accuracy_top1_epoch_1.pth', 'epoch_1.pth']


def test_one_that_is_gone_already_is_no_error(runner, tmp_path, monkeypatch):
    hook = hook_of(runner, interval=1, max_keep_ckpts=1)
    epoch(hook, runner, 1.0)
    save = runner.save_checkpoint

    def tidied(*args, **kwargs):
        save(*args, **kwargs)
        (tmp_path / 'epoch_1.pth').unlink(missing_ok=True)

    runner.save_checkpoint = tidied
    hook.after_train_epoch(runner)
    assert there(tmp_path) == ['best_accuracy_top1_epoch_1.pth', 'epoch_2.pth']


def test_a_validation_alone_saves_nothing(runner, tmp_path):
    AtomicCheckpointHook(interval=1).after_val_epoch(runner, {SCORE: 1.0})
    assert there(tmp_path) == []


def test_mmengines_older_way_to_name_a_backend(runner, tmp_path):
    AtomicCheckpointHook(file_client_args=dict(backend='disk')).before_train(runner)


def test_what_a_killed_run_left_half_written_goes(runner, tmp_path):
    (tmp_path / '.epoch_1.pth.4321').write_bytes(b'half')
    (tmp_path / '.epoch_2.pth.4321').write_bytes(b'half')
    hook = hook_of(runner, interval=1)
    epoch(hook, runner)
    assert [path.name for path in tmp_path.glob('.*')] == ['.epoch_2.pth.4321']
    assert there(tmp_path) == ['epoch_1.pth']


@pytest.mark.usefixtures('ctrl_c')
@pytest.mark.parametrize(
    'kind, name',
    [
        ('last', 'epoch_1.pth'),
        ('best', 'best_accuracy_top1_epoch_0.pth'),
        ('iteration', 'iter_1.pth'),
    ],
)
def test_ctrl_c_waits_until_it_is_written(kind, name, runner, tmp_path, monkeypatch):
    hook = hook_of(runner, interval=1, max_keep_ckpts=1, by_epoch=kind != 'iteration')
    save = torch.save

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        save(*args)

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        if kind == 'best':
            hook.after_val_epoch(runner, {SCORE: 2.0})
        elif kind == 'last':
            hook.after_train_epoch(runner)
        else:
            hook.after_train_iter(runner, 0, None, None)
    assert there(tmp_path) == [name]
    assert torch.load(tmp_path / name)['state_dict']['epoch'] == 0
