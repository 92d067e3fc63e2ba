"""Pretrained weights for a timm model: from timm's hub, or from a file of any common layout."""

import logging
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import timm
import torch
from huggingface_hub import constants
from mmengine.logging import print_log
from timm.models import get_model_args
from torch import Tensor, nn

from vitmm.compat.checkpoint import load_checkpoint_file
from vitmm.errors import WeightsError
from vitmm.meta import Unfilled
from vitmm.models.backbones.hub import only_if_it_answers
from vitmm.models.backbones.reading import Reading, read
from vitmm.models.backbones.resample import resample, solid

# Computed from the settings, and no weights.
_BUFFERS = ('relative_position_index', 'relative_coords_table', 'attn_mask', 'num_batches_tracked')

# Of the pooling: with another than that of the weights, timm refuses them for the norm behind it.
_POOLING = ('global_pool', 'fc_norm', 'use_fc_norm')


def load_from_hub(model: nn.Module, model_name: str, **settings) -> tuple[str, ...]:
    """Copy timm's pretrained weights for ``model_name`` into ``model``, which may be pruned.

    timm itself loads them into a model of the same settings, so that position embeddings, patch
    kernels and input channels are adapted exactly as timm does it. What only another pooling than
    that of the weights has (MAE's norm behind the average) keeps its beginnings, and is logged.

    Args:
        model: made by timm; LoRA's layers may stand around its own.
        model_name: with the tag of the weights, or without: timm's choice for the name.
        settings: what ``timm.create_model`` was given for ``model``.

    Returns:
        The names of the tensors that timm's weights have not: a classifier of other classes, the
        layers of another pooling.

    Raises:
        WeightsError: timm has none for this name, or they could not be downloaded.
    """
    if not timm.is_model_pretrained(model_name):
        raise WeightsError(
            f"timm has no pretrained weights for '{model_name}': set model.backbone.pretrained to "
            'False, or to the path of a .pth or .safetensors file.'
        )
    size = get_model_args(model).get('dynamic_img_size')
    made = {'num_classes': 0, 'dynamic_img_size': size, **settings}
    settings = {k: v for k, v in made.items() if v is not None and k not in _POOLING}
    with only_if_it_answers() as answers:
        try:
            whole = timm.create_model(model_name, pretrained=True, **settings)
        except Exception as error:  # hub clients raise many kinds
            raise WeightsError(_not_loaded(model_name, error, answers)) from error
    state = whole.state_dict()
    # Pruning may have shortened a tensor that only the classifier reads.
    own = {key: value for key, value in _own(model).items() if key in state}
    _copy(model, {k: state[k] for k, v in own.items() if v.shape == state[k].shape})
    missing = tuple(key for key in _own(model) if key not in state)
    if settings['num_classes'] not in (0, whole.pretrained_cfg['num_classes']):
        missing += classifier_tensors(model)
    if missing:
        text = f'begin anew, for the weights of {model_name} have no such: {_few(missing)}'
        print_log(text, logger='current', level=logging.WARNING)
    return missing


def _not_loaded(model_name: str, error: Exception, answers: bool) -> str:
    first = (str(error).splitlines() or ['no reason given'])[0].rstrip('.')
    reason = f'{type(error).__name__}: {first}'
    if not answers:
        reason = f'{constants.ENDPOINT} does not answer, and its cache has not got them'
    source = timm.get_pretrained_cfg(model_name).hf_hub_id
    place = f' from {constants.ENDPOINT}/{source}' if source else ''
    return (
        f"the pretrained weights of '{model_name}' could not be loaded from timm's hub: {reason}. "
        f'Without a network, download them elsewhere{place} (model.safetensors) and give '
        'model.backbone.pretrained=<path of the file>; model.backbone.pretrained=False trains '
        'from nothing.'
    )


def classifier_tensors(model: nn.Module) -> tuple[str, ...]:
    """The names of the tensors of a timm model's own classifier, as timm tells them."""
    names = model.pretrained_cfg.get('classifier') or ()
    prefixes = tuple(f'{name}.' for name in ((names,) if isinstance(names, str) else names))
    return tuple(key for key in model.state_dict() if key.startswith(prefixes))


def load_from_file(
    model: nn.Module,
    model_name: str,
    path: str | Path,
    norms: Sequence[tuple[int, nn.Module]] = (),
) -> tuple[str, ...]:
    """Load a ``.pth`` or ``.safetensors`` file into ``model``, which may be pruned.

    Read are timm's own layout; the originals that timm's filter for the architecture knows (MAE,
    BEiT, DINOv2 and v3, Swin, ...); torchvision's and OpenMMLab's (``layouts.py``); any of them
    under a wrapper's prefix (``module.``, ``teacher.backbone.``). Position embeddings, tables of
    relative positions, patch kernels and input channels are resampled to the model's. What
    matched is logged.

    Args:
        model: made by timm; LoRA's layers may stand around its own.
        model_name: its name.
        path: of the file.
        norms: of the maps, each with the number of timm's map that it normalises. They are filled
            if the file has them all, as ``norm0`` and so on (OpenMMLab's Swin and ConvNeXt) or as
            ``TimmBackbone`` has them.

    Returns:
        The names of the model's tensors that were not filled.

    Raises:
        WeightsError: more than half of the model's tensors are missing or of another shape.
        vitmm.compat.checkpoint.CheckpointError: the file is missing, broken or holds code.
    """
    own = _own(model)
    twin = _unpruned(model, model_name)
    reading = read(load_checkpoint_file(path), model_name, own, twin)
    state = {
        key: resample(key, value, own[key].shape, twin) if key in own else value
        for key, value in reading.state.items()
    }
    matched = {k: state[k] for k in own if k in state and state[k].shape == own[k].shape}
    if len(matched) * 2 < len(own):
        raise WeightsError(_mismatch(path, model_name, reading, own))
    _copy(model, matched)
    known = own.keys() | twin.state_dict().keys() | _fill_norms(norms, reading)
    missing = tuple(key for key in own if key not in matched and not key.endswith(_BUFFERS))
    _report(path, model_name, reading, own, matched, known, missing)
    return missing


def _own(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by timm's names, whatever LoRA has wrapped around them."""
    return {_bare(k): v for k, v in model.state_dict().items() if 'lora_' not in k}


def _bare(key: str) -> str:
    return key.replace('.base_layer.', '.')


def _copy(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    names = {_bare(key): key for key in model.state_dict() if 'lora_' not in key}
    model.load_state_dict({names[key]: value for key, value in tensors.items()}, strict=False)


def _fill_norms(norms: Sequence[tuple[int, nn.Module]], reading: Reading) -> set[str]:
    """Copy the norms of the maps; returns their names, without the prefix of the model."""
    ours = reading.prefix.removesuffix('model.')
    for names in (
        [f'{reading.prefix}norm{tap}' for tap, _ in norms],
        [f'{ours}norms.{place}' for place in range(len(norms))],
    ):
        tensors = [
            {key: reading.file.get(f'{name}.{key}') for key in norm.state_dict()}
            for name, (_, norm) in zip(names, norms, strict=True)
        ]
        if tensors and all(
            value is not None and value.shape == norm.state_dict()[key].shape
            for (_, norm), state in zip(norms, tensors, strict=True)
            for key, value in state.items()
        ):
            for (_, norm), state in zip(norms, tensors, strict=True):
                norm.load_state_dict(state)
            print_log(f'the norms of the maps are filled from {names[0]}, ...', logger='current')
            return {
                f'{name}.{key}'.removeprefix(reading.prefix)
                for name, state in zip(names, tensors, strict=True)
                for key in state
            }
    return set()


def _unpruned(model: nn.Module, model_name: str) -> nn.Module:
    """The model as timm made it, without memory: timm's filters look for what was pruned."""
    changed = ('num_classes', *_POOLING)  # by pruning
    settings = {key: value for key, value in get_model_args(model).items() if key not in changed}
    with torch.device('meta'), Unfilled():
        return timm.create_model(model_name, **settings)


def _report(
    path: str | Path,
    model_name: str,
    reading: Reading,
    own: Mapping[str, Tensor],
    matched: Mapping[str, Tensor],
    known: Set[str],
    missing: Sequence[str],
) -> None:
    """Log what was loaded, what was resampled, and what either side has alone."""
    resampled = [
        f'{key} {tuple(reading.raw[key].shape)} to {tuple(value.shape)}'
        for key, value in matched.items()
        if key in reading.raw and solid(reading.raw[key].shape) != solid(value.shape)
    ]
    spare = [key for key in reading.state if key not in known and not key.endswith(_BUFFERS)]
    under = f", under '{reading.prefix}'" if reading.prefix else ''
    text = (
        f'{path} ({reading.layout}{under}): '
        f'{len(matched)} of {len(own)} tensors of {model_name} loaded'
    )
    for title, names in (
        ('resampled', resampled),
        ('not in the file, or of another shape', missing),
        ('in the file only', spare),
    ):
        if names:
            text += f'; {title}: {_few(names)}'
    print_log(text, logger='current', level=logging.WARNING if missing else logging.INFO)


def _few(names: Sequence[str], count: int = 3) -> str:
    more = f' and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(names[:count]) + more


def _mismatch(
    path: str | Path, model_name: str, reading: Reading, own: Mapping[str, Tensor]
) -> str:
    state = reading.state
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
    lines.append(f'the file has e.g. {", ".join(list(reading.raw)[:3]) or "no tensors"}.')
    return ' '.join(lines)
