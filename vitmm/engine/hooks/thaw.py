"""Frozen first, fine-tuned then."""

from typing import Literal

from mmengine.hooks import Hook
from mmengine.runner import Runner

from vitmm.engine.wrapping import bare, wrap_anew
from vitmm.errors import ConfigError
from vitmm.models.parameters import count_parameters
from vitmm.registry import HOOKS


@HOOKS.register_module()
class ThawHook(Hook):
    """Freeze less of the backbone from a given epoch on.

    The recipe freezes with ``model.backbone.frozen_groups``; the hook thaws. Resuming behind that
    epoch finds the model thawed.

    Args:
        after: how many epochs (iterations, with ``by_epoch=False``) to train before; 0 or more.
        frozen_groups: what stays frozen then: see ``TimmBackbone.freeze``.
        frozen_norms: likewise.
        by_epoch: count epochs.

    Raises:
        ConfigError: before training, if the backbone cannot thaw, or if the optimiser does not
            hold what is to thaw.
    """

    priority = 'VERY_HIGH'  # before what seeds or looks at the epoch

    def __init__(
        self,
        after: int,
        frozen_groups: int | Literal['all'] = 0,
        frozen_norms: bool = False,
        by_epoch: bool = True,
    ) -> None:
        self.after = after
        self.frozen_groups = frozen_groups
        self.frozen_norms = frozen_norms
        self.by_epoch = by_epoch
        self.done = False

    def before_train(self, runner: Runner) -> None:
        """Refuse now what would fail later; say what would never come."""
        backbone = getattr(bare(runner.model), 'backbone', None)
        if not hasattr(backbone, 'freeze'):
            raise ConfigError("ThawHook needs model.backbone.type='vitmm.TimmBackbone'.")
        held = {id(p) for group in runner.optim_wrapper.param_groups for p in group['params']}
        absent = [n for n, p in backbone.named_parameters() if id(p) not in held]
        if absent:
            raise ConfigError(
                f'ThawHook: the optimiser does not hold {len(absent)} frozen parameters, e.g. '
                f"{absent[0]}: MMEngine's paramwise_cfg leaves them out. Set "
                "optim_wrapper.constructor='vitmm.LayerDecayConstructor', which keeps them."
            )
        length, unit = (
            (runner.max_epochs, 'epochs') if self.by_epoch else (runner.max_iters, 'iterations')
        )
        if self.after >= length:
            runner.logger.warning(
                f'ThawHook: after={self.after}, and the training has {length} {unit}: nothing '
                'will thaw.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Thaw if the epoch has come."""
        if self.by_epoch and runner.epoch >= self.after:
            self._thaw(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Thaw if the iteration has come."""
        if not self.by_epoch and runner.iter >= self.after:
            self._thaw(runner)

    def _thaw(self, runner: Runner) -> None:
        if self.done:
            return
        self.done = True
        model = bare(runner.model)
        model.backbone.freeze(self.frozen_groups, self.frozen_norms)
        wrap_anew(runner)  # the old one reduces the gradients that were wanted when it was made
        runner.logger.info(f'thawed: {count_parameters(model)}')
