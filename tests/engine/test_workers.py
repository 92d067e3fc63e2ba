"""Workers stay from epoch to epoch, see the numbers of new ones, and go when the run ends."""

import multiprocessing
import random
from itertools import chain

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from support import CONFIGS, SMALL_CLASSIFIER
from torch.utils.data import DataLoader, Dataset

from vitmm.apis.train import train
from vitmm.engine import seeding
from vitmm.engine.hooks import epoch_seed
from vitmm.errors import VitmmError

RECIPE = CONFIGS / 'cls' / 'resnet_gem.py'


class Drawn(Dataset):
    """What every generator gives for a sample."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(()).item()


class DrawnTogether(Drawn):
    """The same, for datasets that fetch a batch at once."""

    def __getitems__(self, indices):
        return [(*self[index], len(indices)) for index in indices]


def passes(dataset, stay, told=True):
    """Three passes of three batches, and what the main process draws after each."""
    loader = DataLoader(
        dataset,
        batch_size=4,
        shuffle=True,
        num_workers=2,
        persistent_workers=stay,
        worker_init_fn=seeding.seed_worker,
        collate_fn=list,
    )
    found = []
    for epoch in range(3):
        seeding.seed_everything(7, epoch, 0)
        if told:
            seeding.tell_workers(loader)
        found.append((list(loader), torch.rand(()).item(), np.random.rand(), random.random()))
    return found


@pytest.mark.parametrize('kind', [Drawn, DrawnTogether])
def test_numbers_of_workers_that_stay_are_those_of_new_ones(kind):
    new, stayed = passes(kind(), stay=False), passes(kind(), stay=True)
    assert stayed == new
    assert len({str(one) for one in new}) == 3
    assert passes(kind(), stay=True, told=False) != new


@pytest.mark.parametrize('stay', [False, True])
def test_processes_that_begin_alike_draw_otherwise(stay, monkeypatch):
    """As loops by iterations do, whose pass begins before any hook."""
    first = passes(Drawn(), stay)
    monkeypatch.setenv('RANK', '1')
    second = passes(Drawn(), stay)
    for batches, others in zip(first, second, strict=True):
        assert batches[1:] == others[1:]  # the main process
        for one, other in zip(chain(*batches[0]), chain(*others[0]), strict=True):
            assert one[0] == other[0]
            assert not set(one[1:]) & set(other[1:])


@HOOKS.register_module()
class NoteWorkers(Hook):
    """Which workers there are in each epoch; ``does``: an error, or new ones, in the second."""

    seen: list = []
    states: list = []  # of the main process's generator after each validation

    def __init__(self, does=None):
        self.does = does

    def before_train_epoch(self, runner):
        if self.does == 'restart' and runner.epoch == 1:
            runner.train_dataloader._iterator = None

    def after_val_epoch(self, runner, metrics=None):
        self.states.append(torch.get_rng_state())

    def after_train_iter(self, runner, *args, **kwargs):
        self.seen.append(frozenset(one.pid for one in multiprocessing.active_children()))
        if self.does == 'fail' and runner.epoch == 1:
            raise OSError('the disk is full')


def run(tiny_options, folder, epochs=3, does=None, **more):
    NoteWorkers.seen, NoteWorkers.states = [], []
    options = {
        **tiny_options,
        **SMALL_CLASSIFIER,
        'train_cfg.max_epochs': epochs,
        'train_dataloader.num_workers': 2,
        'val_dataloader.num_workers': 1,
        'custom_hooks': [
            dict(type='vitmm.EpochSeedHook'),
            dict(type='NoteWorkers', does=does),
        ],
        **more,
    }
    runner = train(RECIPE, work_dir=folder, options=options)
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def test_a_training_is_the_same(tiny_options, tmp_path, monkeypatch):
    stayed = run(tiny_options, tmp_path / 'stayed')
    first, *_, last = NoteWorkers.seen
    assert len(first) == 2  # that of validation has not begun
    assert first < last and len(last) == 3
    assert not multiprocessing.active_children()
    states = NoteWorkers.states
    assert len(states) == 3

    never = {f'{split}_dataloader.persistent_workers': False for split in ('train', 'val')}
    new = run(tiny_options, tmp_path / 'new', **never)
    assert not NoteWorkers.seen[0] & NoteWorkers.seen[-1]
    assert all(torch.equal(new[name], value) for name, value in stayed.items())
    assert all(map(torch.equal, states, NoteWorkers.states))

    restarted = run(tiny_options, tmp_path / 'restarted', does='restart')
    assert all(torch.equal(restarted[name], value) for name, value in stayed.items())
    assert all(map(torch.equal, states, NoteWorkers.states))

    monkeypatch.setattr(epoch_seed, 'tell_workers', lambda loader: None)
    untold = run(tiny_options, tmp_path / 'untold')
    assert not all(torch.equal(untold[name], value) for name, value in stayed.items())


def test_they_go_when_a_run_fails(tiny_options, tmp_path):
    with pytest.raises((OSError, VitmmError), match='the disk is full'):
        run(tiny_options, tmp_path, does='fail')
    assert len(NoteWorkers.seen[-1]) == 3
    assert not multiprocessing.active_children()


def test_none_need_not_stay(tiny_options, tmp_path):
    none = {f'{split}_dataloader.num_workers': 0 for split in ('train', 'val')}
    run(tiny_options, tmp_path, epochs=1, **none)
    assert NoteWorkers.seen and not any(NoteWorkers.seen)
