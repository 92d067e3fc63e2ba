"""Starting process groups: two real processes on the CPU, and every wrong start."""

import os
import weakref
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from support import CONFIGS, fork_ranks

from vitmm.apis.launch import prepare
from vitmm.compat import distributed
from vitmm.compat.distributed import LaunchError, end_dist, init_dist

WORKER = Path(__file__).with_name('ddp_worker.py')


@pytest.fixture
def started(monkeypatch):
    """A clean environment, and the arguments with which the group would be started."""
    for names in distributed.VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    for name in ('MASTER_ADDR', 'MASTER_PORT', 'SLURM_NODELIST', 'SLURM_STEP_NODELIST'):
        monkeypatch.delenv(name, raising=False)
    calls = []
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', lambda *a, **k: calls.append((a, k))
    )
    gpus(monkeypatch, 0)
    yield calls
    # init_dist sets what the launcher did not; monkeypatch restores only what it changed itself.
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        os.environ.pop(name, None)


def gpus(monkeypatch, count):
    devices = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: count > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    monkeypatch.setattr(torch.cuda, 'set_device', devices.append)
    return devices


def by(monkeypatch, launcher, rank, size, local_rank):
    values = (rank, size, local_rank)
    for name, value in zip(distributed.VARIABLES[launcher], values, strict=True):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv('MASTER_ADDR', 'host')
    if launcher == 'pytorch':
        monkeypatch.setenv('MASTER_PORT', '1234')


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_the_launchers_ranks_and_the_backend(monkeypatch, started, launcher):
    by(monkeypatch, launcher, 3, 4, 1)
    init_dist(launcher)
    half_an_hour = timedelta(minutes=30)  # nccl would give up after ten
    assert started == [(('gloo',), dict(rank=3, world_size=4, timeout=half_an_hour))]
    assert [os.environ[n] for n in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')] == ['3', '4', '1']
    assert os.environ['MASTER_PORT'] == ('1234' if launcher == 'pytorch' else '29500')


def test_with_gpus_each_process_takes_its_own(monkeypatch, started):
    by(monkeypatch, 'pytorch', 3, 4, 1)
    devices = gpus(monkeypatch, 2)
    init_dist('pytorch')
    assert started[0][0] == ('nccl',) and devices == [1]
    init_dist('pytorch', backend='gloo', timeout=60)
    assert started[1][0] == ('gloo',) and started[1][1]['timeout'].total_seconds() == 60


def test_slurm_may_show_each_task_its_own_gpu_alone(monkeypatch, started):
    by(monkeypatch, 'slurm', 3, 4, 3)
    devices = gpus(monkeypatch, 1)
    assert 'has no GPU: torch sees 1' in refusal('slurm')
    monkeypatch.setenv('SLURM_GPUS_PER_TASK', '1')
    init_dist('slurm')
    assert started[0][1]['rank'] == 3 and devices == [0] and os.environ['LOCAL_RANK'] == '0'


def test_no_launcher_starts_nothing(started):
    init_dist('none')
    assert not started


@pytest.mark.parametrize('seconds', [7200, 0.5, None])
def test_the_configs_timeout(monkeypatch, started, tiny_options, seconds):
    by(monkeypatch, 'pytorch', 3, 4, 1)
    more = {} if seconds is None else {'env_cfg.dist_cfg.timeout': seconds}
    prepare(CONFIGS / 'cls/vit_linear.py', launcher='pytorch', options=tiny_options | more)
    assert started[0][1]['timeout'].total_seconds() == (seconds or 1800)


@pytest.mark.parametrize('seconds', ['long', 0, -1, timedelta(hours=1)])
def test_timeouts_are_seconds(monkeypatch, started, seconds):
    by(monkeypatch, 'pytorch', 3, 4, 1)
    assert 'a number of seconds' in refusal('pytorch', timeout=seconds)


def refusal(launcher, **options):
    with pytest.raises(LaunchError) as caught:
        init_dist(launcher, **options)
    return str(caught.value)


def test_nccl_without_gpus(monkeypatch, started):
    by(monkeypatch, 'pytorch', 0, 2, 0)
    assert 'this machine has none' in refusal('pytorch', backend='nccl')


def test_more_processes_than_gpus(monkeypatch, started):
    by(monkeypatch, 'pytorch', 2, 3, 2)
    gpus(monkeypatch, 2)
    text = refusal('pytorch')
    assert 'Process 2' in text and 'torch sees 2' in text


@pytest.mark.parametrize(
    ('launcher', 'starter'),
    [('pytorch', 'tools/dist_train.sh'), ('slurm', 'srun'), ('mpi', 'mpirun')],
)
def test_launcher_without_its_variables(started, launcher, starter):
    text = refusal(launcher)
    assert distributed.VARIABLES[launcher][0] in text and starter in text


def test_wrong_values(monkeypatch, started):
    assert 'Unknown launcher' in refusal('torch')
    by(monkeypatch, 'pytorch', 'x', 2, 0)
    assert 'Not whole numbers' in refusal('pytorch')
    by(monkeypatch, 'mpi', 0, 2, 0)
    monkeypatch.delenv('MASTER_ADDR')
    assert 'MASTER_ADDR' in refusal('mpi')


def test_slurm_asks_scontrol_for_the_first_host(monkeypatch, started, tmp_path):
    by(monkeypatch, 'slurm', 0, 2, 0)
    monkeypatch.delenv('MASTER_ADDR')
    assert 'SLURM_NODELIST' in refusal('slurm')
    monkeypatch.setenv('SLURM_NODELIST', 'node[3-4]')
    monkeypatch.setenv('PATH', str(tmp_path))
    assert 'scontrol' in refusal('slurm')
    program = tmp_path / 'scontrol'
    program.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && echo node3\n')
    program.chmod(0o755)
    init_dist('slurm')
    assert os.environ['MASTER_ADDR'] == 'node3' and len(started) == 1


def test_two_processes_train_to_the_same_weights_and_statistics(tmp_path):
    done = fork_ranks(WORKER, tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    states = [torch.load(tmp_path / f'rank_{rank}.pt') for rank in range(2)]
    states.append(torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['state_dict'])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]) and torch.equal(value, states[2][name]), name
    # Over both epochs each process saw other points; together they saw 0 to 7, twice.
    torch.testing.assert_close(states[0]['norm.running_mean'], torch.tensor([3.5, 1.0]))


def test_nothing_holds_the_ended_group(tmp_path):
    # Threads of a group that outlives Python's own end abort the process now and then.
    def use():
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
        model(torch.rand(3, 2)).sum().backward()
        model.itself = [model]  # a cycle, such as the Runner and its hooks
        return weakref.ref(model)

    end_dist()  # where there is none, nothing happens
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path / "store"}', rank=0, world_size=1
    )
    model = use()
    end_dist()
    assert model() is None
    assert not torch.distributed.is_initialized()
