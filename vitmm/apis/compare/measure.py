"""What a model costs: parameters, operations, time and memory of inference at the test size."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, autocast
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vitmm.apis.checkpoints import find_last
from vitmm.apis.compare.spread import spread
from vitmm.apis.launch import prepare
from vitmm.apis.memory import forget_peak, peak, resident
from vitmm.compat.checkpoint import load_checkpoint_file
from vitmm.config.model_settings import model_settings
from vitmm.models.precision import use_full_precision_in_losses
from vitmm.registry import MODELS

_ROUNDS = 20  # timed runs, at least
_SECONDS = 3.0  # and for so long, at least; and at most ten times as long


def measure(told: dict, folder: Path) -> dict:
    """Measure the whole model of one pairing: preprocessing, forward pass, boxes or masks.

    The first image of the test data goes through, as the test pipeline gives it: alone for the
    latency and the operations, and as often as the test loader's batch is large for throughput
    and memory. A checkpoint of the backbone's first run is loaded where there is one: what a
    detector has found is what its last steps take time for.

    Args:
        told: what ``Job.write`` wrote.
        folder: of the backbone.

    Returns:
        ``parameters``, ``trainable``; ``gflops``: 1e9 multiply-adds of one image, as in the table
        of backbones; ``latency``: milliseconds for one image, ``{'median', 'low', 'high',
        'rounds'}`` with quartiles; ``throughput``: images a second; ``batch``; ``memory``: peak
        MiB of inference in batches, weights included; ``input``: (C, H, W) of the image;
        ``device``; ``threads``; ``trained``: whether a checkpoint was loaded.
    """
    cfg = prepare(
        told['recipe'],
        data=told['data'],
        options=told['options'],
        work_dir=folder,
        loaders=('test_dataloader',),
    )
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    loader = dict(cfg.test_dataloader, num_workers=0, persistent_workers=False)
    batch_size = int(loader.get('batch_size') or 1)
    loader.pop('batch_sampler', None)
    one = next(iter(Runner.build_dataloader({**loader, 'batch_size': 1})))
    many = _repeat(one, batch_size)
    before = resident()
    model = MODELS.build(model_settings(cfg)).to(device).eval()
    checkpoint = told['checkpoint'] or _first_checkpoint(folder)
    if checkpoint:
        state = load_checkpoint_file(checkpoint)
        model.load_state_dict(state.get('state_dict', state))
        del state
    if told['amp']:
        use_full_precision_in_losses(model)  # as tested

    @torch.inference_mode()
    def step(batch: Any) -> None:
        with autocast(device.type, enabled=told['amp'], dtype=torch.bfloat16):
            model.test_step(batch)
        if device.type == 'cuda':
            torch.cuda.synchronize()

    times = _time(lambda: step(one))
    forget_peak()
    batches = _time(lambda: step(many))
    memory = peak(before)  # of inference: counting operations makes whole matrices of attention
    return {
        'parameters': sum(p.numel() for p in model.parameters()),
        'trainable': sum(p.numel() for p in model.parameters() if p.requires_grad),
        'gflops': count_flops(model, one) / 2e9,
        'latency': {name: 1e3 * value for name, value in spread(times).items()}
        | {'rounds': len(times)},
        'throughput': batch_size / spread(batches)['median'],
        'batch': batch_size,
        'memory': memory / 2**20,
        'input': list(_image(one).shape),
        'device': torch.cuda.get_device_name() if device.type == 'cuda' else 'cpu',
        'threads': torch.get_num_threads(),
        'trained': bool(checkpoint),
    }


def count_flops(model: nn.Module, batch: Any) -> int:
    """Floating-point operations of one test step: twice the multiply-adds that PyTorch counts.

    Attention is counted by its matrix products, whichever kernel would run it; torchvision's
    operators (RoIAlign, deformable convolutions, NMS) are not.
    """
    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        model.test_step(batch)
    return counter.get_total_flops()


def _time(function: Callable[[], None]) -> list[float]:
    """Seconds of each run, after some to warm up."""
    for _ in range(3):
        function()
    found: list[float] = []
    start = time.perf_counter()
    while (len(found) < _ROUNDS or time.perf_counter() - start < _SECONDS) and not (
        len(found) >= 3 and time.perf_counter() - start > 10 * _SECONDS
    ):
        begin = time.perf_counter()
        function()
        found.append(time.perf_counter() - begin)
    return found


def _first_checkpoint(folder: Path) -> Path | None:
    runs = sorted(folder.glob('seed*'))
    return next((found for run in runs if (found := find_last(run))), None)


def _repeat(batch: Any, times: int) -> Any:
    """A batch of the same image: a dict of lists (or of a stacked tensor) of one entry each."""
    if isinstance(batch, dict):
        return {key: _repeat(value, times) for key, value in batch.items()}
    if isinstance(batch, torch.Tensor):
        return batch.repeat(times, *[1] * (batch.dim() - 1))
    return list(batch) * times


def _image(batch: dict) -> torch.Tensor:
    return batch['inputs'][0]
