import os

import pytest
import torch
from support import CONFIGS

from vitmm.config import load_config, machine, resolve


@pytest.fixture
def cpus(monkeypatch, tmp_path):
    """Set what the machine has: processors by affinity, and a container's quota."""

    def set_to(affinity, quota='max 100000'):
        monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(affinity)))
        (tmp_path / 'cpu.max').write_text(quota + '\n')
        monkeypatch.setattr(machine, '_QUOTA', tmp_path / 'cpu.max')

    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    return set_to


@pytest.mark.parametrize(
    ('affinity', 'quota', 'ranks', 'workers'),
    [
        (2, 'max 100000', 1, 2),
        (2, 'max 100000', 4, 1),
        (64, 'max 100000', 1, 8),
        (64, 'max 100000', 16, 4),
        (64, '350000 100000', 1, 3),
        (64, '50000 100000', 1, 1),
        (2, '800000 100000', 1, 2),
        (5, 'nonsense', 1, 5),
    ],
)
def test_workers(affinity, quota, ranks, workers, cpus, monkeypatch):
    cpus(affinity, quota)
    if ranks > 1:
        monkeypatch.setenv('LOCAL_WORLD_SIZE', str(ranks))
    assert machine.describe() == {'workers': workers, 'gpu': torch.cuda.is_available()}


def test_this_machine(monkeypatch):
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    assert 1 <= machine.processors() <= len(os.sched_getaffinity(0)) <= os.cpu_count()


@pytest.mark.parametrize('recipe', ['det/vit_retinanet', 'seg/vit_fcn', 'cls/vit_linear'])
def test_loaders_follow_the_machine(recipe, cpus, tiny_options):
    cpus(6)
    options = {k: v for k, v in tiny_options.items() if 'num_workers' not in k}
    options['val_dataloader.num_workers'] = 1
    config = resolve(load_config(CONFIGS / f'{recipe}.py', options=options))
    assert config.train_dataloader.num_workers == 6
    assert config.val_dataloader.num_workers == config.test_dataloader.num_workers == 1
    assert config.train_dataloader.pin_memory is torch.cuda.is_available()
    assert resolve(config).to_dict() == config.to_dict()
