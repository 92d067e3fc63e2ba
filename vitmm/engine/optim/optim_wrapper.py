"""MMEngine's optimiser wrapper without a halt of the GPU, and with bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper as MMEngineOptimWrapper
from mmengine.runner import autocast
from torch import nn

from vitmm.errors import ConfigError
from vitmm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(MMEngineOptimWrapper):
    """Accumulate, clip and step, in single precision or under bfloat16 autocast.

    MMEngine's own reads the norm of the gradients after every backward pass, and its
    AmpOptimWrapper a gradient scaler as well: each makes the CPU wait for the GPU. bfloat16 has the
    range of float32, so it needs no scaler; the norm is kept where it is, for
    :class:`vitmm.RuntimeInfoHook` to log.

    Args:
        dtype: None, or ``'bfloat16'`` for the forward pass under autocast.
        kwargs: MMEngine's: ``optimizer``, ``accumulative_counts``, ``clip_grad``.

    Raises:
        ConfigError: another dtype.
    """

    def __init__(self, *, dtype: str | None = None, **kwargs: Any) -> None:
        if dtype not in (None, 'bfloat16'):
            raise ConfigError(
                f"optim_wrapper.dtype is 'bfloat16' or None, not {dtype!r}: for float16 take "
                "optim_wrapper.type='AmpOptimWrapper', which scales its gradients."
            )
        super().__init__(**kwargs)
        self.dtype = dtype
        self.grad_norm: torch.Tensor | None = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, and keep back DDP's reduction while gradients accumulate."""
        half = autocast(enabled=self.dtype is not None, dtype=torch.bfloat16)
        with super().optim_context(model), half:
            yield

    def _clip_grad(self) -> None:
        params = [p for group in self.param_groups for p in group['params'] if p.grad is not None]
        if params:
            self.grad_norm = self.clip_func(params, **self.clip_grad_kwargs)
