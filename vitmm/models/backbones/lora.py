"""Low-rank adapters (LoRA) in a timm model, made by the ``peft`` package and merged again.

LoRA: Hu et al., https://arxiv.org/abs/2106.09685. An adapted layer ``X`` holds timm's own weights
under ``X.base_layer`` and its adapter under ``X.lora_A`` and ``X.lora_B``. Which layers can be
adapted is found out by asking the model, never from a table of names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from textwrap import shorten
from types import ModuleType
from typing import Any

import torch
from timm.layers import Conv2dSame
from timm.layers import Linear as TimmLinear
from torch import nn

from vitmm.errors import BackboneError, did_you_mean
from vitmm.models.backbones import timm_factory
from vitmm.models.backbones.twin import native_size, skip_steps

# Kinds that compute with their weights as they are stored. Others (weight standardisation) change
# them first, so that what an adapter adds could not be merged into them.
_PLAIN = (nn.Linear, TimmLinear, nn.Conv2d, Conv2dSame)
# Beginnings that need no weights: adapters are made before the pretrained weights are loaded.
_BEGINNINGS = (True, False, 'gaussian')


def inject(
    model: nn.Module,
    settings: Mapping[str, Any],
    *,
    model_name: str,
    model_settings: Mapping[str, Any],
    unused: Iterable[str] = (),
) -> frozenset[str]:
    """Put adapters into ``model``, in place; its output stays the same until they are trained.

    Args:
        model: a timm model, pruned or not.
        settings: what ``peft.LoraConfig`` takes (``r``, ``lora_alpha``, ``lora_dropout``,
            ``target_modules``, …). Without ``target_modules``: the attention's linear layers; of
            a model that has none, all linear layers, or else all convolutions but grouped ones.
        model_name: its name, and
        model_settings: the settings that it was made with, to make a twin on the meta device.
        unused: parameters that get no gradient: their layers are left as they are.

    Returns:
        The names of the parameters that must stay frozen: all but the adapters (and the biases,
        if ``bias`` says so).

    Raises:
        BackboneError: peft is missing, no layer matches, or a setting that does not fit.
    """
    peft = _import_peft()
    config = {**settings}
    if config.get('init_lora_weights', True) not in _BEGINNINGS:
        raise _refusal(
            f'init_lora_weights={config["init_lora_weights"]!r} is computed from the weights, and '
            f'these are loaded after the adapters are made: use True or {_BEGINNINGS[-1]!r}.'
        )
    for module in model.modules():
        # timm's BEiT, EVA and Swin V2 read qkv.weight without calling qkv, unless asked to.
        if hasattr(module, 'qkv_bias_separate'):
            module.qkv_bias_separate = True
    useless = {name.rpartition('.')[0] for name in unused}
    fitting = _fitting(model, _called(model_name, model_settings) - useless)
    if not config.get('target_modules'):
        if config.get('layers_to_transform') is not None:
            raise _refusal(f'layers_to_transform goes with target_modules. {_tell(fitting)}')
        config['target_modules'] = '|'.join(re.escape(name) for name in _choose(fitting, model))

    before = set(model.state_dict())
    try:
        peft.inject_adapter_in_model(peft.LoraConfig(**config), model)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None:
            raise
        hint = did_you_mean(unknown[1], peft.LoraConfig.__dataclass_fields__)
        raise _refusal(f'peft.LoraConfig does not take {unknown[1]}.{hint}') from error
    except (ValueError, NotImplementedError) as error:
        raise _refusal(f'{shorten(str(error), 250)} {_tell(fitting)}') from error
    _check_keys(before, set(model.state_dict()))

    adapted = dict(_adapters(model))
    for name in adapted.keys() - fitting.keys():
        _replace(model, name, adapted.pop(name).get_base_layer())
    if not adapted:
        raise _refusal(
            f'target_modules={config["target_modules"]!r} matches no layer that is called with '
            f'its own weights and gets a gradient. {_tell(fitting)}'
        )
    for name, layer in adapted.items():
        if layer.get_base_layer().bias is None and any(layer.lora_bias.values()):
            raise _refusal(f'lora_bias: {name} has no bias that it could be merged into.')
    return frozenset(n for n, p in model.named_parameters() if not p.requires_grad)


def merge(model: nn.Module) -> int:
    """Add every adapter in ``model`` to the weights of its layer and remove it, in place.

    The output stays the same up to rounding; the state dict has timm's own names again.

    Returns:
        How many layers had one.
    """
    adapted = dict(_adapters(model))
    for name, layer in adapted.items():
        layer.merge()
        _replace(model, name, layer.get_base_layer())
    for module in model.modules():
        if hasattr(module, 'peft_config'):
            del module.peft_config
    return len(adapted)


def is_adapter(key: str) -> bool:
    """Whether a parameter of this name belongs to an adapter, not to the timm model."""
    return '.lora_A.' in key or '.lora_B.' in key


def _import_peft() -> ModuleType:
    try:
        import peft
    except ImportError as error:
        raise _refusal(
            f"it needs the package peft: pip install 'peft>=0.21' (import peft: {error})."
        ) from error
    return peft


def _refusal(message: str) -> BackboneError:
    return BackboneError(f'model.backbone.lora: {message}')


def _called(model_name: str, settings: Mapping[str, Any]) -> set[str]:
    """Which modules of the model's body are called.

    Some only keep weights that another one reads (the projection of torch's MultiheadAttention):
    an adapter in one of these would never be used.
    """
    twin = timm_factory.create_meta(model_name, **settings).eval()
    skip_steps(twin)
    called: set[str] = set()
    for name, module in twin.named_modules():
        if hasattr(module, 'qkv_bias_separate'):
            module.qkv_bias_separate = True
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    size = native_size(twin, settings)
    with torch.no_grad():
        twin.forward_features(torch.empty(1, settings.get('in_chans', 3), *size, device='meta'))
    return called


def _fitting(model: nn.Module, called: set[str]) -> dict[str, nn.Module]:
    """The layers that can be adapted, and merged again."""

    def mergeable(layer: nn.Module) -> bool:
        if type(layer) not in _PLAIN or nn.utils.parametrize.is_parametrized(layer):
            return False
        # peft merges no groups, and forgets to dilate.
        return isinstance(layer, nn.Linear) or (layer.groups == 1 and set(layer.dilation) == {1})

    return {n: m for n, m in model.named_modules() if n in called and mergeable(m)}


def _choose(fitting: Mapping[str, nn.Module], model: nn.Module) -> list[str]:
    """Which layers to adapt where nobody says."""
    linear = [name for name, layer in fitting.items() if isinstance(layer, nn.Linear)]
    attention = [name for name in linear if _is_attention(model, name.rpartition('.')[0])]
    chosen = attention or linear or list(fitting)
    if not chosen:
        raise _refusal(
            'the model has no layer that could be adapted and merged again (linear, or a '
            'convolution without groups, on its weights as they are).'
        )
    return chosen


def _is_attention(model: nn.Module, name: str) -> bool:
    words = (name.rpartition('.')[-1] + ' ' + type(model.get_submodule(name)).__name__).lower()
    return 'attn' in words or 'attention' in words


def _tell(fitting: Iterable[str]) -> str:
    """Name some layers that can be adapted, as ``target_modules`` takes them."""
    ends = list(dict.fromkeys(re.search(r'[^.]*[^.\d][^.]*(\.\d+)*$', n)[0] for n in fitting))
    shown = ', '.join(ends[:8]) + (', …' if len(ends) > 8 else '')
    return f'Layers that can be adapted: {shown or "none"}.'


def _check_keys(before: set[str], after: set[str]) -> None:
    """Refuse what is more than LoRA: pretrained weights could not be loaded into it later."""
    left = {key.replace('.base_layer.', '.') for key in after if not is_adapter(key)}
    if left != before:
        raise _refusal(
            f'these settings add or rename other tensors than lora_A and lora_B '
            f'(e.g. {min(left ^ before)}), which pretrained weights do not fill: leave out '
            'use_dora, modules_to_save and the like.'
        )


def _adapters(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    from peft.tuners.lora import LoraLayer

    return ((n, m) for n, m in model.named_modules() if isinstance(m, LoraLayer))


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition('.')
    setattr(model.get_submodule(parent), child, layer)
