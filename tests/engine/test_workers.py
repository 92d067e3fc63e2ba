"""Workers stay from epoch to epoch, see the numbers of new ones, and go when the run ends."""

import multiprocessing
import random

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


@HOOKS.register_module()
class NoteWorkers(Hook):
    """Which workers there are in each epoch; ``fails``: an error in the second."""

    seen: list = []

    def __init__(self, fails=False):
        self.fails = fails

    def after_train_iter(self, runner, *args, **kwargs):
        self.seen.append(frozenset(one.pid for one in multiprocessing.active_children()))
        if self.fails and runner.epoch == 1:
            raise OSError('the disk is full')


def run(tiny_options, folder, epochs=3, fails=False, **more):
    NoteWorkers.seen = []
    options = {
        **tiny_options,
        **SMALL_CLASSIFIER,
        'train_cfg.max_epochs': epochs,
        'train_dataloader.num_workers': 2,
        'val_dataloader.num_workers': 1,
        'custom_hooks': [
            dict(type='vitmm.EpochSeedHook'),
            dict(type='NoteWorkers', fails=fails),
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

    never = {f'{split}_dataloader.persistent_workers': False for split in ('train', 'val')}
    new = run(tiny_options, tmp_path / 'new', **never)
    assert not NoteWorkers.seen[0] & NoteWorkers.seen[-1]
    assert all(torch.equal(new[name], value) for name, value in stayed.items())

    monkeypatch.setattr(epoch_seed, 'tell_workers', lambda loader: None)
    untold = run(tiny_options, tmp_path / 'untold')
    assert not all(torch.equal(untold[name], value) for name, value in stayed.items())


def test_they_go_when_a_run_fails(tiny_options, tmp_path):
    with pytest.raises((OSError, VitmmError), match='the disk is full'):
        run(tiny_options, tmp_path, fails=True)
    assert len(NoteWorkers.seen[-1]) == 3
    assert not multiprocessing.active_children()


def test_none_need_not_stay(tiny_options, tmp_path):
    none = {f'{split}_dataloader.num_workers': 0 for split in ('train', 'val')}
    run(tiny_options, tmp_path, epochs=1, **none)
    assert NoteWorkers.seen and not any(NoteWorkers.seen)
