"""Which weights to begin with, and whether they belong to the model."""

import logging
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, get_rank, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from vitmm.apis.bare_model import bare_model
from vitmm.apis.switches import averages
from vitmm.compat.checkpoint import CheckpointError, load_checkpoint_file
from vitmm.config.stored import configs_in
from vitmm.engine.wrapping import bare
from vitmm.errors import ConfigError, WeightsError


def find_last(work_dir: str | Path) -> Path | None:
    """The newest checkpoint of a work dir that is whole, or None where there is none at all.

    The first process looks, for all: a folder may not be the same on every machine.

    Raises:
        CheckpointError: there are checkpoints, and not one of them can be read; or a process does
            not see the one that the first has found.
    """
    found: list[Any] = [None]
    if is_main_process():
        try:
            found = [_find_last(work_dir)]
        except CheckpointError as error:
            found = [error]
    broadcast_object_list(found)
    (path,) = found
    if isinstance(path, CheckpointError):
        raise path
    if path and not path.is_file():
        raise CheckpointError(
            f'The first process goes on from {path}, which process {get_rank()} does not see: '
            'all machines need the same work dir.'
        )
    return path


def _find_last(work_dir: str | Path) -> Path | None:
    work_dir = Path(work_dir)
    found = sorted(
        [*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')],
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    error = None
    for path in found:
        try:
            load_checkpoint_file(path)
        except CheckpointError as broken:
            error = broken
            print_log(f'{broken} Trying the one before.', logger='current', level=logging.WARNING)
        else:
            return path
    if error is not None:
        raise error
    return None


def load_pretrained(runner: Runner) -> None:
    """Let the Runner's model be what its backbone's pretrained weights make it, without training.

    Raises:
        ConfigError: it has parts that no pretrained weights are for.
        WeightsError: the weights lack some of it, as a classifier of as many classes.
    """
    model = bare(runner.model)
    backbone = model.backbone
    others = [n for n, _ in model.named_parameters() if not n.startswith('backbone.')]
    if others or not getattr(backbone, 'pretrained', False):
        what = f'{others[0]} was not trained' if others else 'model.backbone.pretrained is not set'
        raise ConfigError(
            f'without a checkpoint a pretrained model is tested with its own classifier, but '
            f'{what}: take configs/cls/timm_classifier.py with model.backbone.pretrained=True '
            'or a file.'
        )
    runner._init_model_weights()
    if backbone.unfilled:
        raise WeightsError(
            f'the weights of {backbone.model_name} lack {", ".join(backbone.unfilled[:4])} of this '
            'model: without training it says nothing. Is it of as many classes as the data?'
        )


def check_belongs(cfg: Config, path: str | Path, resumed: bool = False) -> list[str]:
    """Raise unless the checkpoint holds every tensor of a config's model, and in its shape.

    That is known before anything is built or written, and before the log begins with pages of
    config. A model that cannot be built passes: the Runner will say why.

    Args:
        cfg: resolved; the model may stand in that of test-time augmentation.
        path: a checkpoint, or a published folder.
        resumed: it must be one of a training, too, which goes on from there.

    Returns:
        The classes that it names, by label, if any.

    Raises:
        WeightsError: it is of another model; says which keys.
        CheckpointError: the file is missing, broken or holds code.
    """
    content = load_checkpoint_file(path)
    model = _bare(cfg)
    if model is not None:
        check_state(model, weights_of(content), path)
    meta = content.get('meta')
    if resumed and not ('message_hub' in content and isinstance(meta, Mapping) and 'iter' in meta):
        raise CheckpointError(
            f'{path} holds weights alone, and nothing of the training that they are of: '
            f'load_from={path} begins a new one from them.'
        )
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or ())]
    averaged = resumed and 'ema_state_dict' in content and not any(map(averages, hooks))
    if averaged and is_main_process():
        print_log(
            f'{path} is of a training that averaged its weights (EMAHook). This one does not: it '
            'goes on from the average.',
            logger='current',
            level=logging.WARNING,
        )
    told = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    return [str(name) for name in (told or {}).get('classes') or ()]


def check_classes(known: Sequence[str], classes: Sequence[str] | None, path: str | Path) -> None:
    """Raise where a checkpoint names other classes than the data, be they as many.

    Args:
        known: what :func:`check_belongs` returned; none pass.
        classes: of the data, by label; none pass.
        path: of the checkpoint.

    Raises:
        ConfigError: says which is the first that differs.
    """
    classes = [str(name) for name in classes or ()]
    if not known or not classes or [*known] == classes:
        return
    pairs = enumerate(zip_longest(known, classes))
    at, (there, here) = next((n, pair) for n, pair in pairs if len({*pair}) > 1)
    raise ConfigError(
        f'{path} was trained on {len(known)} classes and the data has {len(classes)}, or '
        f'others: class {at} is {there!r} there and {here!r} here. Name the data '
        'that has its classes (--data, --cfg-options data_root=…).'
    )


def check_begins(cfg: Config, path: str | Path) -> tuple[str | None, bool]:
    """Look at a checkpoint that a training begins with, of which MMEngine takes what fits.

    Args:
        cfg: resolved.
        path: its ``load_from``.

    Returns:
        How much of the model it fills, where that is not all; whether it has any of the backbone.

    Raises:
        WeightsError: nothing at all: the training would begin from nothing.
        CheckpointError: the file is missing, broken or holds code.
    """
    state = weights_of(load_checkpoint_file(path))
    model = _bare(cfg)
    own = {} if model is None else model.state_dict()
    absent = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if not absent:
        return None, True
    if len(absent) == len(own):
        raise WeightsError(
            f'load_from={path} holds no tensor of the model that the config builds (it has '
            f'{_few(list(state)) or "none"}; the model has {_few(absent)}): the training would '
            'begin from nothing. Weights of a backbone alone go into model.backbone.pretrained.'
        )
    backbone = {key for key in own if key.startswith('backbone.')}
    return (
        f'load_from={path} fills {len(own) - len(absent)} of the {len(own)} tensors of the model; '
        f'begin anew: {_few(absent)}',
        not backbone or not backbone <= {*absent},
    )


def _bare(cfg: Config) -> nn.Module | None:
    try:
        return bare_model(cfg.model.get('module', cfg.model), cfg.get('default_scope'))
    except Exception:  # whatever a class of anybody's raises
        return None


def _few(keys: Sequence[str]) -> str:
    return f'{", ".join(keys[:4])}{", …" if len(keys) > 4 else ""}'


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights among what a checkpoint file holds, without the prefix of DDP."""
    state = checkpoint.get('state_dict', checkpoint)
    return {key.removeprefix('module.'): value for key, value in state.items()}


def check_state(model: nn.Module, state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Raise unless ``state``, read from ``path``, holds every tensor of ``model`` in its shape.

    Raises:
        WeightsError: it is of another model; says which keys.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f'{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}'
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    faults = [
        f'{len(keys)} {what}: {_few(keys)}'
        for what, keys in (
            ('missing', missing),
            ('unexpected', unexpected),
            ('of another shape', shapes),
        )
        if keys
    ]
    if faults:
        raise WeightsError(
            f'{path} is a checkpoint of another model than the config builds '
            f'({"; ".join(faults)}). Give the config that it was trained with, with the same '
            f'--cfg-options{_config_beside(Path(path))}.'
        )


def _config_beside(checkpoint: Path) -> str:
    # Tests write theirs beside it, under longer names.
    found = min(configs_in(checkpoint.parent), key=lambda path: len(path.name), default=None)
    return f', or {found}, which has them all' if found else '; the work dir holds it'
