"""Layer-wise learning rates and weight decay, for any timm backbone."""

from dataclasses import dataclass, field

from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from vitmm.errors import ConfigError
from vitmm.registry import OPTIM_WRAPPER_CONSTRUCTORS

_KEYS = ('layer_decay', 'by', 'min_scale', 'flat_decay_mult', 'custom_keys')


@dataclass
class _Group:
    depth: int
    scale: float
    decays: bool
    lr_mult: float
    decay_mult: float
    params: list[nn.Parameter] = field(default_factory=list)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Rates that fall from the head down to the stem: ``layer_decay ** (steps below the head)``.

    As BEiT (https://arxiv.org/abs/2106.08254) and MAE fine-tune, and as timm's
    ``param_groups_layer_decay`` counts. The depth of each parameter, and which ones take no weight
    decay, are the backbone's own description; nothing is typed by hand. Everything that is not
    the backbone has scale 1. Frozen parameters get their groups too, so that they may thaw. The
    groups are printed once.

    Set it by ``optim_wrapper.constructor='vitmm.LayerDecayConstructor'`` and
    ``optim_wrapper.paramwise_cfg``, whose keys are:

    - ``layer_decay``: factor per step, more than 0 and at most 1; 1 (the default) only
      exempts from weight decay;
    - ``by``: ``'layer'`` (default) for a step a block, ``'stage'`` for a step a stage;
    - ``min_scale``: no scale is less, 0 by default;
    - ``flat_decay_mult``: weight decay of vectors (norms, biases) and of what timm's
      ``no_weight_decay`` names, as a factor; 0 by default;
    - ``custom_keys``: MMEngine's ``{part of a name: dict(lr_mult=…, decay_mult=…)}``, on top.

    Raises:
        ConfigError: an unknown key, a value out of range, or a backbone that does not tell its
            depths.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        cfg = self.paramwise_cfg
        unknown = [key for key in cfg if key not in _KEYS]
        if unknown:
            raise ConfigError(
                f'optim_wrapper.paramwise_cfg has {", ".join(unknown)}; LayerDecayConstructor '
                f'reads {", ".join(_KEYS)}.'
            )
        decay = cfg.get('layer_decay', 1.0)
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay <= 1:
            raise ConfigError(f'paramwise_cfg.layer_decay={decay!r}: a factor above 0 and up to 1.')
        if cfg.get('by', 'layer') not in ('layer', 'stage'):
            raise ConfigError(f"paramwise_cfg.by is 'layer' or 'stage', not {cfg['by']!r}.")
        if self.base_lr is None:
            raise ConfigError('layer-wise rates need optim_wrapper.optimizer.lr.')

    def __call__(self, model: nn.Module):
        """Build the optimiser wrapper for ``model``."""
        # MMEngine asks for the groups only where there are settings.
        self.paramwise_cfg = {'layer_decay': 1.0, **self.paramwise_cfg}
        return super().__call__(model)

    def add_params(self, params: list[dict], module: nn.Module, **kwargs) -> None:
        """Append the groups of the whole model ``module`` to ``params``."""
        groups = self._group(module)
        for group in groups:
            entry = dict(params=group.params, lr=self.base_lr * group.scale * group.lr_mult)
            if self.base_wd is not None:
                entry['weight_decay'] = self.base_wd * group.decay_mult
            params.append(entry)
        _print(groups, self.base_lr, self.base_wd)

    def _group(self, model: nn.Module) -> list[_Group]:
        backbone = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'layer_depths'):
            raise ConfigError(
                'LayerDecayConstructor needs a backbone that tells its depths: '
                "model.backbone.type='vitmm.TimmBackbone'."
            )
        cfg = self.paramwise_cfg
        coarse = cfg.get('by') == 'stage'
        depths, top = backbone.layer_depths(coarse), backbone.head_depth(coarse)
        exempt = backbone.no_weight_decay()
        inside = {id(p): name for name, p in backbone.model.named_parameters()}
        groups: dict[tuple, _Group] = {}
        for name, parameter in model.named_parameters():
            own = inside.get(id(parameter))
            depth = depths.get(own, top)
            decays = parameter.ndim > 1 and own not in exempt
            custom = self._custom(name)
            lr_mult = custom.get('lr_mult', 1.0)
            decay_mult = 1.0 if decays else cfg.get('flat_decay_mult', 0.0)
            decay_mult = custom.get('decay_mult', decay_mult)
            key = (depth, decays, lr_mult, decay_mult)
            if key not in groups:
                scale = max(cfg['layer_decay'] ** (top - depth), cfg.get('min_scale', 0.0))
                groups[key] = _Group(depth, scale, decays, lr_mult, decay_mult)
            groups[key].params.append(parameter)
        return [groups[key] for key in sorted(groups)]

    def _custom(self, name: str) -> dict:
        """The settings of the longest key that is part of ``name``."""
        keys = self.paramwise_cfg.get('custom_keys', {})
        return keys.get(max((k for k in keys if k in name), key=len, default=None), {})


@master_only
def _print(groups: list[_Group], lr: float, weight_decay: float | None) -> None:
    lines = ['parameter groups, stem first:', ' depth  lr         decay     tensors   parameters']
    for group in groups:
        numbers = sum(p.numel() for p in group.params)
        frozen = sum(p.numel() for p in group.params if not p.requires_grad)
        decay = (weight_decay or 0.0) * group.decay_mult
        lines.append(
            f' {group.depth:5d}  {lr * group.scale * group.lr_mult:<9.3g}  {decay:<8.3g}'
            f'{len(group.params):9d}{numbers:13,d}' + (f'  ({frozen:,d} frozen)' if frozen else '')
        )
    print_log('\n'.join(lines), logger='current')
