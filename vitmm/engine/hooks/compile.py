"""torch.compile where it can serve images of all sizes."""

import os
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

# Inductor writes C++ for a CPU; for a GPU Triton compiles what starts its kernels.
_COMPILERS = {'cpu': ('C++', ('g++', 'clang++')), 'cuda': ('C', ('gcc', 'clang'))}
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
        ConfigError: before the run, if the backbone is none of ours, or if there is no compiler.
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
        if self.backend == 'inductor':
            _need_compiler(get_device())  # not where the model is: FSDP moves it later
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


def _need_compiler(device: str) -> None:
    if device not in _COMPILERS or (device == 'cuda' and os.environ.get('CC')):  # Triton's own
        return
    language, names = _COMPILERS[device]
    if not any(map(shutil.which, names)):
        raise ConfigError(
            f'--compile on a {"CPU" if device == "cpu" else "GPU"} needs a {language} compiler, '
            f'and there is none of {", ".join(names)}: install one, or leave --compile out.'
        )
