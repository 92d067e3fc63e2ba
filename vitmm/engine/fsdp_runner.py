"""MMEngine's Runner with the model, its gradients and its optimiser spread over the processes."""

from functools import partial
from typing import Any

from mmengine.device import get_device
from mmengine.dist import barrier
from mmengine.hooks import EMAHook
from mmengine.model import BaseDataPreprocessor, convert_sync_batchnorm
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import nn

from vitmm.engine.optim.layout import lay_as_weights
from vitmm.engine.sharding import gather, keep_whole, shard_model, shard_optimizer, slice_again
from vitmm.errors import ConfigError
from vitmm.registry import RUNNERS


@RUNNERS.register_module()
class FSDPRunner(Runner):
    """A Runner that trains by FSDP instead of DDP.

    Everything up to the first iteration is the Runner's own, on a whole model on the CPU: weights
    are initialised, pretrained ones and checkpoints are loaded, the optimiser is built. Only then
    is the model sharded (:mod:`.sharding`). Checkpoints are gathered and saved whole, under the
    names and in the form of any other run.
    """

    @classmethod
    def from_cfg(cls, cfg: Any) -> 'FSDPRunner':
        """Build from a config, and keep its own name out of what is stored."""
        cfg = cfg.copy()
        cfg.pop('runner_type', None)
        return super().from_cfg(cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Leave the model on the CPU, and unwrapped; no ``model_wrapper_cfg`` is for it."""
        kind = self.cfg.get('sync_bn')
        return convert_sync_batchnorm(model, kind) if kind else model

    def resume(self, filename: str, *args, map_location: str = 'cpu', **kwargs) -> None:
        """Resume as the Runner does, but on the CPU, where the model still is."""
        super().resume(filename, *args, map_location=map_location, **kwargs)

    def load_or_resume(self) -> None:
        """Load or resume what the config says, then shard."""
        super().load_or_resume()
        if self._sharded:
            return
        self._check_scaler()
        if isinstance(self.optim_wrapper, OptimWrapper):
            lay_as_weights(self.optim_wrapper.optimizer)  # slices keep the layout
        device = get_device()
        before = dict(self.model.named_parameters())
        unused = self.cfg.get('find_unused_parameters', False)
        for module in self.model.modules():
            if isinstance(module, BaseDataPreprocessor):
                module.to(device)  # it also notes where data have to go
        shard_model(self.model, device, unused)
        if isinstance(self.optim_wrapper, OptimWrapper):
            shard_optimizer(self.optim_wrapper, before, self.model)
        for average in self._averages():
            shard_model(average.module, device)
            average.avg_parameters = (
                average.module.state_dict()
                if average.update_buffers
                else dict(average.module.named_parameters())
            )
        self._sharded = True

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Keep all weights whole while the model is measured.

        Each gathering waits for all processes, and these need not predict as often: batches have
        images of one size, and a larger image has more sliding windows. Averaged weights change
        places with the model's as slices.
        """
        if fn_name in ('after_val_epoch', 'after_test_epoch'):
            slice_again(self.model)
        super().call_hook(fn_name, **kwargs)
        if fn_name in ('before_val_epoch', 'before_test_epoch'):
            keep_whole(self.model)

    def save_checkpoint(self, *args, **kwargs) -> None:
        """Gather what is sharded, which takes all processes, and save it on the first."""
        owners = [self.model, *(average.module for average in self._averages())]
        if kwargs.get('save_optimizer', True):
            owners.append(self.optim_wrapper.optimizer)
        handles = []
        for owner in owners:
            answer = _whole_module if isinstance(owner, nn.Module) else _whole_optimizer
            whole = partial(answer, gather(owner.state_dict()))
            handles.append(owner.register_state_dict_post_hook(whole))
        try:
            super().save_checkpoint(*args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
        barrier()

    def _check_scaler(self) -> None:
        numbers = [n for n, p in self.model.named_parameters() if p.requires_grad and not p.ndim]
        if numbers and isinstance(self.optim_wrapper, AmpOptimWrapper):
            raise ConfigError(
                f'--fsdp keeps slices of weights, and the gradient scaler of AmpOptimWrapper takes '
                f'none beside weights that are single numbers ({numbers[0]}): train in bfloat16, '
                'which needs no scaler: --amp.'
            )

    def _averages(self) -> list[nn.Module]:
        return [hook.ema_model for hook in self.hooks if isinstance(hook, EMAHook)]

    _sharded = False


def _whole_module(whole: dict, module: nn.Module, state: dict, prefix: str, *_) -> None:
    state.update({prefix + name: value for name, value in whole.items()})


def _whole_optimizer(whole: dict, optimizer: Any, state: dict) -> dict:
    return whole
