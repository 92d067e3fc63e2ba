"""What tests share that is no fixture: paths, few threads, running the tools."""

import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import platform
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.distributed.fsdp

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / 'configs'
RECIPES = sorted(p for p in CONFIGS.glob('*/*.py') if p.parts[-2] != '_base_')  # the starters
PUBLISHED = sorted(p for p in CONFIGS.glob('*/*/*.py') if '_base_' not in p.parts)
CLASSIFIERS = ('gem', 'linear', 'mlp', 'multilabel', 'timm_classifier')  # _base_/models
# Options: checkpoints take longer to write than small models to train.
UNSAVED = {
    'default_hooks.checkpoint.interval': -1,
    'default_hooks.checkpoint.save_last': False,
    'default_hooks.checkpoint.save_best': None,
}
SMALL_CLASSIFIER = {
    'image_size': 32,
    'resize_edge': 32,
    'model.backbone.model_name': 'test_resnet',
    **UNSAVED,
}
COUNTS = dict(num_train=12, num_val=4, num_cls_train=24, num_cls_val=12)
# One of every kind: plain, distilled, windowed, convolutional, light, and with patches of 14.
BACKBONES = [
    'vit_tiny_patch16_224',
    'deit3_small_patch16_224',
    'swin_tiny_patch4_window7_224',
    'convnext_atto',
    'resnet18',
    'efficientnet_b0',
    'mobilenetv3_small_100',
    'vit_small_patch14_dinov2',
]

# Several test processes share the cores.
torch.set_num_threads(1)
os.environ['OMP_NUM_THREADS'] = '1'

needs_fsdp = pytest.mark.skipif(
    not hasattr(torch.distributed.fsdp.FSDPModule, 'set_reshard_after_forward'),
    reason=f'--fsdp needs torch 2.8, and this is {torch.__version__}',
)


def run_tool(name: str | Path, *args: object, env: dict | None = None, timeout: float = 300):
    """Run ``tools/<name>`` as a user would; returns the finished process with its output."""
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, args)]
    if str(name).endswith('.sh'):
        command = ['bash', *command[1:]]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env={**os.environ, 'PYTHON': sys.executable, **(env or {})},
    )


def fork_tool(name: str | Path, *args: object, env: dict | None = None, timeout: float = 300):
    """As :func:`run_tool`, in a fork of this process: what imports for seconds is there already."""
    if torch.cuda.is_available():  # which no fork has
        return run_tool(name, *args, env=env, timeout=timeout)
    return _fork([str(ROOT / 'tools' / name), *map(str, args)], [env or {}], timeout)


def fork_ranks(script: str | Path, *args: object, env: dict | None = None, timeout: float = 300):
    """As ``torchrun --nproc_per_node=2 SCRIPT`` on the CPU, in two forks of this process."""
    command = [str(script), *map(str, args)]
    env = {**(env or {}), 'CUDA_VISIBLE_DEVICES': '-1', 'OMP_NUM_THREADS': '1'}
    if torch.cuda.is_available():
        launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
        return subprocess.run(
            [*launch, '--nproc_per_node=2', *command],
            capture_output=True, text=True, timeout=timeout, cwd=ROOT, env={**os.environ, **env},
        )  # fmt: skip
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env |= dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2')
    ranks = [{**env, 'RANK': rank, 'LOCAL_RANK': rank} for rank in '01']
    return _fork(command, ranks, timeout)


def _fork(command: list[str], environments: list[dict], timeout: float):
    """Run a script in forks of this process, one for each environment, until all or one fails."""

    def main(env: dict) -> None:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(n, 'w', buffering=1, closefd=False) for n in (1, 2))
        os.chdir(ROOT)
        os.environ.update(env)
        sys.path[:0] = filter(None, env.get('PYTHONPATH', '').split(os.pathsep))
        sys.argv = command
        runpy.run_path(command[0], run_name='__main__')

    context = multiprocessing.get_context('fork')
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryFile('w+') as out, tempfile.TemporaryFile('w+') as err:
        running = [context.Process(target=main, args=[env]) for env in environments]
        for process in running:
            process.start()
        codes = []
        while running and not any(codes):
            ended = multiprocessing.connection.wait([p.sentinel for p in running], 0.5)
            for process in [p for p in running if p.sentinel in ended]:
                process.join()
                codes.append(process.exitcode)
                running.remove(process)
            if time.monotonic() > deadline:
                break
        for process in running:
            process.kill()
            process.join()
        if running and not any(codes):
            raise subprocess.TimeoutExpired(command, timeout)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read())
        return subprocess.CompletedProcess(command, next(filter(None, codes), 0), *said)


def on_path(*folders: Path) -> dict[str, str]:
    """The environment's PYTHONPATH with these folders before it."""
    paths = [*map(str, folders), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {'PYTHONPATH': os.pathsep.join(paths)}


def fitting(options: dict, recipe: Path) -> dict:
    """Those of ``options`` that a recipe takes: pretraining has no validation to set."""
    without = recipe.parent.name == 'mim'
    return {k: v for k, v in options.items() if not (without and k.startswith('val_'))}


def load_tool(name: str) -> ModuleType:
    """The module of ``tools/<name>.py``, to call what is in it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_cfg_options(options: dict) -> list[str]:
    """Options of a dict as the words behind ``--cfg-options``."""
    words = []
    for key, value in options.items():
        if isinstance(value, dict):
            words += as_cfg_options({f'{key}.{k}': v for k, v in value.items()})
        else:
            words.append(f'{key}={value}')
    return words


# Whose settings of malloc are what is looked at.
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='a setting of glibc')
# Source, for a process of its own: pages that the system gives for what is made and freed at once.
FAULTS = """
import resource

def faults(make, times=1):
    for turn in range(2):  # the first makes room
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(times):
            made = make()
            del made
        seen = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return seen
"""


def hear_ctrl_c() -> None:
    """Let a child process have Ctrl-C, also where the tests run in the background without it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def losses_and_gradients(model, *args, **kwargs):
    """What a model of OpenMMLab loses on a batch, and the gradients of that, by name."""
    losses = model(*args, **kwargs, mode='loss')
    sum(sum(one) if isinstance(one, list) else one.sum() for one in losses.values()).backward()
    return losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def operators(function, *args):
    """How many operators a call wants, once all that it keeps (anchors) is made."""
    from vitmm.models.halts.reads import CountReads

    function(*args)
    with CountReads() as counting:
        function(*args)
    return counting.operators
