"""Process groups on machines with and without GPUs.

MMEngine calls ``torch.cuda.set_device`` whatever the backend, which fails without a GPU, and its
Runner passes ``device_ids``, which DDP refuses on the CPU. It starts no process group where
there is one already, and takes a ``model_wrapper_cfg``: the two functions here use that.

Can go when MMEngine's ``init_dist`` and ``wrap_model`` work without a GPU.
"""

import gc
import os
import subprocess
from datetime import timedelta

import torch
import torch.distributed

from vitmm.errors import VitmmError

# launcher -> the variables that it sets: rank, number of processes, rank on this machine
VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
STARTERS = {
    'pytorch': 'tools/dist_train.sh CONFIG N',
    'slurm': 'tools/slurm_train.sh, or srun',
    'mpi': 'mpirun',
}
DEFAULT_PORT = '29500'  # torch.distributed's own
# nccl's own is 10 minutes, and the others wait while the first process computes a metric.
TIMEOUT = 1800


class LaunchError(VitmmError, RuntimeError):
    """The processes were not started as the launcher promised, or lack the GPUs they need."""


def init_dist(launcher: str, backend: str | None = None, timeout: float | None = None) -> None:
    """Start the default process group, before MMEngine's Runner is built.

    Does nothing for the launcher 'none', or where a process group has been started already.

    Args:
        launcher: 'none', 'pytorch' (torchrun), 'slurm' or 'mpi' (Open MPI).
        backend: 'nccl', 'gloo' or 'mpi'; nccl with GPUs and gloo without where it is None.
        timeout: seconds after which a collective operation gives up; None is half an hour.

    Raises:
        LaunchError: unknown launcher, its environment variables are missing, or too few GPUs; no
            number of seconds.
    """
    if launcher == 'none' or torch.distributed.is_initialized():
        return
    if launcher not in VARIABLES:
        raise LaunchError(f'Unknown launcher {launcher!r}: none, {", ".join(VARIABLES)}.')
    timeout = TIMEOUT if timeout is None else timeout
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise LaunchError(f'env_cfg.dist_cfg.timeout is a number of seconds, not {timeout!r}.')
    rank, size, local_rank = _ranks(launcher)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    backend = backend or ('nccl' if gpus else 'gloo')
    if backend == 'nccl' and not gpus:
        raise LaunchError(
            'The backend nccl needs GPUs, and this machine has none that torch can use. '
            'Use gloo, or name no backend: gloo is chosen where there is no GPU.'
        )
    if launcher == 'slurm' and gpus == 1 and 'SLURM_GPUS_PER_TASK' in os.environ:
        local_rank = 0  # each task sees its own GPU alone
    if gpus and local_rank >= gpus:
        raise LaunchError(
            f'Process {local_rank} of this machine has no GPU: torch sees {gpus}. Start at most '
            f'{gpus} a machine, or hide them (CUDA_VISIBLE_DEVICES=-1) to run on the CPU.'
        )
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_slurm_host()
    if launcher != 'pytorch':
        os.environ.setdefault('MASTER_PORT', DEFAULT_PORT)
    if 'MASTER_ADDR' not in os.environ or 'MASTER_PORT' not in os.environ:
        raise LaunchError(
            'MASTER_ADDR and MASTER_PORT must say where the first process listens '
            f'(set by {STARTERS["pytorch"]}; with mpirun: -x MASTER_ADDR=host).'
        )
    # MMEngine and torch read these wherever the processes come from.
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(local_rank))
    if gpus:
        torch.cuda.set_device(local_rank)
    torch.distributed.init_process_group(
        backend, rank=rank, world_size=size, timeout=timedelta(seconds=timeout)
    )


def end_dist() -> None:
    """End the default process group, where there is one; call it when nothing uses it any more.

    A group that lives until the interpreter ends, or a DDP model that holds it, leaves gloo's
    threads running while Python is taken down, and now and then one of them aborts the process
    ("terminate called without an active exception"; torch 2.14, 1 in 5 runs on busy machines).
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    gc.collect()  # Runner, model and hooks refer to each other
    torch.distributed.destroy_process_group()


def cpu_wrapper_cfg(**options) -> dict:
    """MMEngine's DDP without device ids, for processes without GPUs.

    Goes into the config as ``model_wrapper_cfg``: without one, MMEngine's Runner passes
    ``device_ids=[LOCAL_RANK]``, and DDP refuses that on the CPU.

    Args:
        options: passed on to it, such as ``find_unused_parameters=True``.
    """
    return {
        'type': 'mmengine.MMDistributedDataParallel',
        'broadcast_buffers': False,
        'device_ids': None,  # named, or the Runner would fill it in
        **options,
    }


def _ranks(launcher: str) -> tuple[int, int, int]:
    """Rank, number of processes and rank on this machine."""
    values = {name: os.environ.get(name) for name in VARIABLES[launcher]}
    if launcher == 'slurm' and values['SLURM_LOCALID'] is None and values['SLURM_PROCID']:
        # Not every Slurm sets it; tasks are dealt out one GPU each.
        gpus = max(torch.cuda.device_count(), 1)
        values['SLURM_LOCALID'] = str(int(values['SLURM_PROCID']) % gpus)
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise LaunchError(
            f'The launcher {launcher!r} was asked for, but {", ".join(missing)} '
            f'{"is" if len(missing) == 1 else "are"} not set. Start it with '
            f'{STARTERS[launcher]}, or leave out --launcher to run one process.'
        )
    try:
        rank, size, local_rank = (int(value) for value in values.values())
    except ValueError:
        raise LaunchError(f'Not whole numbers: {values}.') from None
    return rank, size, local_rank


def _first_slurm_host() -> str:
    nodes = os.environ.get('SLURM_STEP_NODELIST') or os.environ.get('SLURM_NODELIST')
    if not nodes:
        raise LaunchError('SLURM_NODELIST is not set, so that the first machine is unknown.')
    try:
        answer = subprocess.run(
            ['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaunchError(f'scontrol cannot expand {nodes!r}: {error}. Set MASTER_ADDR.') from error
    return answer.stdout.split()[0]
