"""The switch to FSDP."""

import torch.distributed.fsdp
from mmengine.config import Config

from vitmm.errors import ConfigError


def use_fsdp(config: Config) -> None:
    """Let :class:`vitmm.engine.fsdp_runner.FSDPRunner` train, in place of the Runner and DDP.

    Raises:
        ConfigError: one process without a group, a Runner of the config's own, an old torch (for
            all of it, or for parameters that get no gradient), or channels last.
    """
    if config.launcher == 'none':
        raise ConfigError(
            '--fsdp spreads a model over several processes, and none were started: use '
            'tools/dist_train.sh CONFIG N --fsdp, or add --launcher under torchrun, Slurm or MPI.'
        )
    module = getattr(torch.distributed.fsdp, 'FSDPModule', None)
    if not hasattr(module, 'set_reshard_after_forward'):
        raise ConfigError(
            f'--fsdp needs FSDPModule.set_reshard_after_forward (torch 2.8 or later), and this is '
            f'torch {torch.__version__}: update it, or leave --fsdp out.'
        )
    if config.get('find_unused_parameters') and not hasattr(
        module, 'set_reduce_scatter_unused_params'
    ):
        raise ConfigError(
            '--fsdp with find_unused_parameters=True needs '
            'FSDPModule.set_reduce_scatter_unused_params, which torch '
            f'{torch.__version__} has not: update it, or leave one of them out.'
        )
    if 'runner_type' in config:
        raise ConfigError(
            f'--fsdp brings a Runner of its own, and the config names {config.runner_type}: '
            'leave one of them out.'
        )
    if any(hook.get('type') == 'vitmm.ChannelsLastHook' for hook in config.get('custom_hooks', [])):
        raise ConfigError(
            '--fsdp keeps slices of weights, which have no channels to be last: leave out one of '
            '--fsdp and --channels-last.'
        )
    config.runner_type = 'vitmm.FSDPRunner'
