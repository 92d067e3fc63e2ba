"""Validation and testing without autograd's bookkeeping, in the precision of training."""

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.evaluator.metric import _to_cpu
from mmengine.runner import TestLoop as MMEngineTestLoop
from mmengine.runner import ValLoop as MMEngineValLoop
from mmengine.runner import autocast

from vitmm.registry import LOOPS


class _Inference:
    """MMEngine's iterations in inference mode; ``fp16=True`` is autocast, to bfloat16."""

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Run one batch through model and metrics; what hooks of an epoch do is outside."""
        metrics = getattr(self.evaluator, 'metrics', ())
        kept = [len(metric.results) for metric in metrics]
        with torch.inference_mode(), autocast(enabled=self.fp16, dtype=torch.bfloat16):
            # The loop's own autocast takes over the type of the one around it.
            super().run_iter(idx, data_batch)
        if get_device() != 'cpu':
            for metric, since in zip(metrics, kept, strict=True):
                keep_on_cpu(metric.results, since)


def keep_on_cpu(results: list, since: int = 0) -> None:
    """Move the tensors of a metric's results, from the number ``since`` on, to the CPU.

    Until the end they would fill the GPU. Then they are sent to the first process as they lie: it
    would open the GPUs of all others.
    """
    results[since:] = _to_cpu(results[since:])


@LOOPS.register_module()
class ValLoop(_Inference, MMEngineValLoop):
    """MMEngine's ValLoop under :func:`torch.inference_mode`."""


@LOOPS.register_module()
class TestLoop(_Inference, MMEngineTestLoop):
    """MMEngine's TestLoop under :func:`torch.inference_mode`."""

    __test__ = False  # pytest takes it for tests
