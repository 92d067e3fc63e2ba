"""A checkpoint with the config and the classes that lie in it or beside it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.utils import import_modules_from_strings
from torch import nn

from vitmm.apis.checkpoints import check_state, weights_of
from vitmm.apis.class_counts import named_classes
from vitmm.compat.checkpoint import (
    PUBLISHED_CONFIG,
    CheckpointError,
    load_checkpoint_file,
    weights_file,
)
from vitmm.config import load_config, resolve
from vitmm.config.load import merge_options
from vitmm.config.model_settings import model_settings
from vitmm.config.stored import read_stored
from vitmm.datasets.errors import DataError
from vitmm.datasets.sources import dataset_class, leaves
from vitmm.errors import ConfigError
from vitmm.inference.scope import in_scope

_TASKS = {  # base classes of mmdet, mmseg and mmpretrain, the narrower first
    'DepthEstimator': 'depth',
    'BaseDetector': 'det',
    'BaseSegmentor': 'seg',
    'BaseClassifier': 'cls',
}

_PATCHING = threading.RLock()


@dataclass
class StoredModel:
    """What one checkpoint tells.

    Attributes:
        path: of the file of weights.
        config: resolved.
        state: the weights, those of the average where one was kept (EMA).
        meta: MMEngine's, of a training checkpoint; the metadata of a published one.
        classes: their names, by label, of all that the head has; None where there are none (depth).
        palette: a colour (R, G, B) of each class, 0 to 255; None where nobody chose.
    """

    path: Path
    config: Config
    state: dict[str, torch.Tensor]
    meta: dict[str, Any]
    classes: list[str] | None
    palette: list[tuple[int, int, int]] | None

    def __post_init__(self) -> None:
        if self.classes:
            self.classes = named_classes(self.classes, self.config.model)

    def build(self) -> nn.Module:
        """Build the model with its weights, in eval mode.

        Classes that a data set of depth has of its own are none of the model's, and are dropped.

        Raises:
            ConfigError: the config asks for what is no registered module, or is not installed.
            WeightsError: the weights are of another model.
        """
        with building(self.config):
            model = MMENGINE_MODELS.build(model_settings(self.config))
        check_state(model, self.state, self.path)
        model.load_state_dict(self.state)
        if task_of(model) == 'depth':
            self.classes = self.palette = None
        return model.eval()


def read_model(
    path: str | Path,
    config: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> StoredModel:
    """Read a checkpoint and its config, without running what it may carry.

    Args:
        path: a ``.pth`` file of ours or of an OpenMMLab codebase, a folder that
            ``tools/publish_model.py`` wrote, or its ``.safetensors`` file.
        config: a config file; by default the one in the checkpoint, or beside a published one.
        options: ``{'dotted.key': value}`` over the config.

    Raises:
        CheckpointError: the file is missing, broken or holds code.
        ConfigError: there is no config, or the options do not fit it.
    """
    path = weights_file(path)
    if path.is_dir() and not list(path.glob('*.safetensors')):
        raise CheckpointError(
            f'{path} is a folder without model.safetensors: give a checkpoint, or a folder that '
            'tools/publish_model.py wrote.'
        )
    content = load_checkpoint_file(path)
    meta = content.get('meta') or published_metadata(path)
    cfg = _config(path, meta, config, options)
    told = {str(k).lower(): v for k, v in (meta.get('dataset_meta') or {}).items()}
    told = {**meta_of(cfg), **{k: v for k, v in told.items() if v}}
    return StoredModel(
        path, cfg, weights_of(content), meta, told.get('classes'), told.get('palette')
    )


def published_metadata(path: Path) -> dict[str, Any]:
    """What a ``.safetensors`` file tells of its model; nothing where it is another file.

    Raises:
        CheckpointError: it is damaged.
    """
    if path.suffix != '.safetensors':
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, 'pt') as file:
            told = dict(file.metadata() or {})
        told['dataset_meta'] = json.loads(told.get('dataset_meta') or '{}')
    except (ValueError, OSError, SafetensorError) as error:
        raise CheckpointError(f'{path}: its metadata is damaged ({error}).') from error
    return told


def _config(
    path: Path, meta: dict, file: str | Path | None, options: Mapping[str, Any] | None
) -> Config:
    beside = path.with_name(PUBLISHED_CONFIG)
    if file is not None:
        return resolve(load_config(file, None, options))
    if meta.get('cfg'):
        text, where = meta['cfg'], path
    elif path.suffix == '.safetensors' and beside.is_file():
        text, where = beside.read_text(encoding='utf-8'), beside
    else:
        raise ConfigError(
            f'{path} holds no config of its model: give it, --config FILE; the work dir of its '
            'training holds the resolved one.'
        )
    config = Config(read_stored(text))
    if options:
        merge_options(config, options, where)
    return config


def meta_of(config: Config) -> dict[str, Any]:
    """``classes`` and ``palette``, where the config or the data set's class names them."""
    loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
    if not loader.get('dataset'):
        return {}
    dataset = leaves(loader['dataset'])[0]
    told = {k.lower(): v for k, v in (dataset.get('metainfo') or {}).items()}
    if told.get('classes') or not dataset.get('type'):
        return told
    found: Mapping[str, Any] = {}
    with suppress(ConfigError, DataError), building(config):  # it may be somebody's, not here
        found = getattr(dataset_class(dataset, config.get('default_scope')), 'METAINFO', {})
    return {**{k.lower(): v for k, v in found.items()}, **told}


def task_of(model: nn.Module) -> str:
    """``'cls'``, ``'det'``, ``'seg'`` or ``'depth'``.

    Raises:
        ConfigError: a model of another kind, such as pretraining.
    """
    bases = [base.__name__ for base in type(model).__mro__]
    for name, task in _TASKS.items():
        if name in bases:
            return task
    raise ConfigError(
        f'{type(model).__name__} predicts none of classes, boxes, segments and depth; pretraining '
        'gives a backbone for the models that do.'
    )


@contextmanager
def building(config: Config) -> Iterator[None]:
    """Build parts of a config under its default scope, and nothing but registered modules.

    MMEngine takes a ``type`` that no registry knows for the name of any Python object, and calls
    it: a stranger's checkpoint could run anything. The modules that its ``custom_imports`` names
    are imported, which runs what lies on this machine already.

    Raises:
        ConfigError: a module that is not registered, arguments that do not fit it, or a custom
            import that fails.
    """
    imports = config.get('custom_imports')
    if imports:
        try:
            import_modules_from_strings(**imports)
        except ImportError as error:
            raise ConfigError(
                f'the config imports {imports["imports"]} (custom_imports), and that fails: '
                f'{error}. Run this where these modules are.'
            ) from error
    try:
        with (
            _PATCHING,  # two patches that overlap would leave one of them there
            in_scope(config.get('default_scope') or 'mmengine'),
            patch('mmengine.registry.registry.get_object_from_string', side_effect=KeyError),
        ):
            yield
    except TypeError as error:
        raise ConfigError(f'the config does not fit what it builds: {error}') from error
    except RuntimeError as error:
        if 'Failed to get' not in str(error):
            raise
        raise ConfigError(
            f'the config asks for {str(error).split()[-1]}, which is no registered module: is a '
            'package or a custom import missing?'
        ) from error
