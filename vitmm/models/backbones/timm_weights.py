"""Pretrained weights for a timm model: from timm's hub, or from a file."""

import sys
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from mmengine.logging import print_log
from timm.models import model_entrypoint
from torch import nn

from vitmm.compat.checkpoint import load_checkpoint_file
from vitmm.errors import WeightsError

# Where training codes put the weights, the better ones first.
_CONTAINERS = ('state_dict_ema', 'model_ema', 'state_dict', 'model', 'teacher')


def load_from_hub(model: nn.Module, model_name: str, **settings) -> None:
    """Copy timm's pretrained weights for ``model_name`` into ``model``, which may be pruned.

    timm itself loads them into a model of the same settings, so that position embeddings, patch
    kernels and input channels are adapted exactly as timm does it.

    Raises:
        WeightsError: timm has none for this name, or they could not be downloaded.
    """
    if not timm.is_model_pretrained(model_name):
        raise WeightsError(
            f"timm has no pretrained weights for '{model_name}': set model.backbone.pretrained to "
            'False, or to the path of a .pth or .safetensors file.'
        )
    settings = {key: value for key, value in settings.items() if value is not None}
    try:
        whole = timm.create_model(model_name, pretrained=True, num_classes=0, **settings)
    except Exception as error:  # hub clients raise many kinds
        raise WeightsError(
            f"the pretrained weights of '{model_name}' could not be loaded from timm's hub: "
            f'{type(error).__name__}: {str(error).splitlines()[0]}. Without a network, download '
            'them elsewhere and give model.backbone.pretrained=<path of the file>.'
        ) from error
    state = whole.state_dict()
    model.load_state_dict({key: state[key] for key in model.state_dict()})


def load_from_file(model: nn.Module, model_name: str, path: str | Path) -> None:
    """Load a ``.pth`` or ``.safetensors`` file into ``model``, which may be pruned.

    timm's own filter for the architecture is applied; a wrapper's prefix (``module.``,
    ``backbone.model.``) is stripped. What matched is logged.

    Raises:
        WeightsError: more than half of the model's tensors are missing or of another shape.
        vitmm.compat.checkpoint.CheckpointError: the file is missing, broken or holds code.
    """
    state = _strip_prefix(_unwrap(load_checkpoint_file(path)), model)
    entry = sys.modules[model_entrypoint(model_name.partition('.')[0]).__module__]
    convert = getattr(entry, 'checkpoint_filter_fn', None)
    if convert is not None:
        try:
            state = convert(state, model)
        except (KeyError, RuntimeError, AttributeError) as error:
            raise WeightsError(_mismatch(path, model_name, state, model)) from error
    own = model.state_dict()
    matched = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    if len(matched) * 2 < len(own):
        raise WeightsError(_mismatch(path, model_name, state, model))
    model.load_state_dict(matched, strict=False)
    missing = sorted(own.keys() - matched.keys())
    text = f'{path}: {len(matched)} of {len(own)} tensors of {model_name} loaded'
    print_log(
        text + (f'; not in the file, or of another shape: {", ".join(missing)}' if missing else ''),
        logger='current',
    )


def _unwrap(checkpoint: Mapping) -> dict[str, torch.Tensor]:
    for key in _CONTAINERS:
        if isinstance(checkpoint.get(key), Mapping):
            return _unwrap(checkpoint[key])
    return {key: value for key, value in checkpoint.items() if isinstance(value, torch.Tensor)}


def _strip_prefix(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Drop the prefix under which the file holds the model's longest-named tensor, if any."""
    probe = max(model.state_dict(), key=len)
    prefixes = {key.removesuffix(probe) for key in state if key.endswith('.' + probe)}
    if probe in state or not prefixes:
        return state
    prefix = min(prefixes, key=len)
    return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}


def _mismatch(path, model_name: str, state: Mapping, model: nn.Module) -> str:
    own = model.state_dict()
    absent = [key for key in own if key not in state]
    shapes = [key for key in own if key in state and state[key].shape != own[key].shape]
    lines = [f"{path} does not hold weights for '{model_name}':"]
    if absent:
        lines.append(f'{len(absent)} of {len(own)} tensors missing, e.g. {", ".join(absent[:3])};')
    if shapes:
        key = shapes[0]
        lines.append(
            f'{len(shapes)} of another shape, e.g. {key}: {tuple(state[key].shape)} in the file, '
            f'{tuple(own[key].shape)} in the model;'
        )
    lines.append(f'the file has e.g. {", ".join(list(state)[:3]) or "no tensors"}.')
    return ' '.join(lines)
