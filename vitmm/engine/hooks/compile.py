"""torch.compile where it can serve images of all sizes."""

import shutil

import torch
import torch._dynamo
import torch.fx.experimental._config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from vitmm.engine.wrapping import bare
from vitmm.errors import ConfigError
from vitmm.registry import HOOKS

_COMPILERS = ('g++', 'clang++')
_GRAPHS = 64
# torch 2.6 knows the older name alone.
RECOMPILE_LIMIT = (
    'recompile_limit' if hasattr(torch._dynamo.config, 'recompile_limit') else 'cache_size_limit'
)


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile the backbone's repeated blocks; sizes may change from batch to batch.

    Blocks of one kind share their graphs, so that compiling takes seconds, and there are no more
    graphs after the first few sizes. What runs other operators at other sizes stays as it is: see
    :func:`vitmm.models.backbones.regions.steady_regions`. Checkpoints keep their keys.

    Args:
        backend: of :func:`torch.compile`.
        options: of the backend; for inductor over its own, but for ``layout_optimization``, which
            fails on convolutions of images of all sizes (torch 2.14): ``--channels-last`` says how
            they lie.

    Raises:
        ConfigError: before the run, if the backbone is none of ours, or if the CPU's compiler is
            missing.
    """

    def __init__(self, backend: str = 'inductor', options: dict | None = None) -> None:
        self.backend = backend
        defaults = {'layout_optimization': False} if backend == 'inductor' else {}
        self.options = {**defaults, **(options or {})}

    def before_run(self, runner: Runner) -> None:
        """Compile in place; the graphs are made in the first iterations."""
        model = bare(runner.model)
        backbone = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'compile_blocks'):
            raise ConfigError("--compile needs model.backbone.type='vitmm.TimmBackbone'.")
        # Not where the model is: FSDP moves it later.
        on_cpu = get_device() == 'cpu'
        if self.backend == 'inductor' and on_cpu and not any(map(shutil.which, _COMPILERS)):
            raise ConfigError(
                f'--compile on a CPU needs a C++ compiler, and there is none of '
                f'{", ".join(_COMPILERS)}: install one, or leave --compile out.'
            )
        # Blocks of all widths, in training and in validation, are one function to torch.
        limit = getattr(torch._dynamo.config, RECOMPILE_LIMIT)
        setattr(torch._dynamo.config, RECOMPILE_LIMIT, max(limit, _GRAPHS))
        # Else sizes that are equal in the first batch must stay so, and others make new graphs.
        if hasattr(torch.fx.experimental._config, 'use_duck_shape'):
            torch.fx.experimental._config.use_duck_shape = False
        # Blocks are small enough for DDP as they are; it would cut the large ones in two.
        torch._dynamo.config.optimize_ddp = False
        count = backbone.compile_blocks(backend=self.backend, options=self.options or None)
        runner.logger.info(
            f'compiled: {count} parts of {backbone.model_name}; the first iterations take longer.'
        )
