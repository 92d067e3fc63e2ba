"""Fill a recipe's holes, once, before the Runner is built."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from vitmm.config import holes, length, machine
from vitmm.config.trackers import add_trackers
from vitmm.config.wrappers import push_inwards
from vitmm.datasets.classes import read_classes
from vitmm.datasets.errors import AnotherSetError, DataError, OthersFolderError
from vitmm.errors import ConfigError, VitmmError, did_you_mean
from vitmm.registry import FUNCTIONS, MODELS

_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_NO_OBJECT = 0.1  # Carion et al., DETR, https://arxiv.org/abs/2005.12872, section 4
_ASKS_FOR_MORE = re.compile(r'\$\{backbone\b(?!\.in_chans\})')


def resolve(config: Config, known: Mapping[str, Any] | None = None) -> Config:
    """Return the plain, complete config: what is printed, dumped and stored in checkpoints.

    What a recipe names fills its holes: ``${backbone.…}`` (``channels``, ``strides``, ``mean``,
    ``std``, ``in_chans``, ``preprocessing``) is told by the backbone that the config names,
    ``${data.…}`` (``classes``, ``num_classes``; ``set_weights``, which weigh each class and, last,
    no object, in losses over sets of queries) by the data. ``${machine.…}`` (``workers``, ``gpu``)
    is what data loaders are set by, ``${training.…}`` (``by_epoch``, ``length``, ``save_interval``,
    ``sampler``) all that counts epochs or iterations. Any other hole names a key at the top of the
    config, ``${data_root}`` or ``${train_cfg.max_epochs}``, so that one change on the command line
    is enough. An embedded data set that ``prepare_data`` names is written first. ``trackers``
    become backends of the visualizer (:mod:`vitmm.config.trackers`).

    Args:
        config: a loaded config; it is not changed.
        known: what holes of these first names stand for (``{'data': {'classes': …}}``): nobody is
            asked for it. Where ``data`` is known, none is written.

    Raises:
        ConfigError: a hole that nothing fills, or that refers to itself; batches of no images.
        VitmmError: a backbone that timm lacks; data whose classes cannot be read.
    """
    plain = _plain(config)
    names = _Names(plain)
    names.known |= known or {}
    if 'data' not in names.known:
        _prepare_data(plain, names)
    filled = holes.fill(plain, names)
    for loader in _DATALOADERS:
        if 'batch_size' in (filled.get(loader) or {}):
            length.count(filled[loader]['batch_size'], f'{loader}.batch_size')
    add_trackers(filled)
    # MMEngine dumps it under this name, and by its suffix: the resolved config is always Python.
    filename = config.filename and str(Path(config.filename).with_suffix('.py'))
    return Config(filled, cfg_text=config.text or '\n', filename=filename)


def resolve_in_part(config: Config, known: Mapping[str, Any]) -> Config:
    """What can be filled, to go on with; the rest stays as it is. Nothing is written.

    Args:
        config: a loaded config.
        known: as for :func:`resolve`.
    """
    plain = _plain(config)
    names = _Names(plain)
    names.known |= known

    def fill(value: Any, where: str) -> Any:
        if isinstance(value, Mapping):
            return {key: fill(inner, f'{where}.{key}') for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(fill(inner, f'{where}.{n}') for n, inner in enumerate(value))
        try:
            return holes.fill(value, names, where)
        except VitmmError:
            return value

    filled = {key: fill(value, key) for key, value in plain.items()}
    return Config(filled, filename=config.filename)


def describe_data(config: Config, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What ``${data.…}`` stands for in a config, from files that are there; none are written.

    Args:
        config: a loaded config.
        known: as for :func:`resolve`.

    Raises:
        VitmmError: data whose classes cannot be read, or a config without a data loader.
    """
    names = _Names(config.to_dict())
    names.known |= known or {}
    return names('data')


def _plain(config: Config) -> dict[str, Any]:
    plain = config.to_dict()
    for loader in _DATALOADERS:
        if isinstance(plain.get(loader), Mapping) and 'dataset' in plain[loader]:
            plain[loader]['dataset'] = push_inwards(plain[loader]['dataset'])
            if isinstance(plain[loader].get('collate_fn'), Mapping):
                # Of a base in another package; MMEngine hands it to the function.
                plain[loader]['collate_fn'].pop('_scope_', None)
    return plain


class _Names:
    """What a hole may begin with; each is worked out when it is first asked for."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.known: dict[str, Any] = {}
        self.open: list[str] = []

    def __call__(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        if name in self.open:
            raise ConfigError(f'holes go round in a circle: {" -> ".join([*self.open, name])}.')
        self.open.append(name)
        try:
            if name == 'backbone':
                value = self._describe_backbone()
            elif name == 'data':
                value = self._describe_data()
            elif name == 'machine':
                value = machine.describe()
            elif name == 'training':
                value = length.describe(holes.fill(self.config.get('train_cfg'), self, 'train_cfg'))
            elif name in self.config:
                value = holes.fill(self.config[name], self, name)
            else:
                raise KeyError([*self.config, *holes.TOLD])
        finally:
            self.open.pop()
        self.known[name] = value
        return value

    def _describe_backbone(self) -> dict[str, Any]:
        backbone = self.config.get('model', {}).get('backbone')
        if not backbone:
            raise ConfigError('a hole asks for ${backbone.…}, but the config has no model.backbone')
        settings = holes.fill(backbone, self, 'model.backbone')
        images = settings.get('in_chans', settings.get('in_channels', 3))  # ours, mmdet's
        told: dict[str, Any] = {'in_chans': images}
        if not _ASKS_FOR_MORE.search(str(self.config)):
            return told  # a data set asks for no more, and may meet any backbone
        try:
            model = _build_without_memory(settings)
        except (TypeError, KeyError) as error:
            wrong = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            kind = MODELS.get(settings['type']) if wrong else None
            near = did_you_mean(wrong[1], inspect.signature(kind).parameters, 2) if kind else ''
            if wrong:
                near += ' model.backbone._delete_=True drops what a base sets there.'
            raise ConfigError(f'model.backbone cannot be built: {error}.{near}') from error
        facts = {key: getattr(model, key, None) for key in ('channels', 'strides', 'mean', 'std')}
        if facts['channels'] is None:
            raise ConfigError(
                f'a hole asks for ${{backbone.…}}, but {settings["type"]} does not describe '
                "itself; use type='vitmm.TimmBackbone', or write the numbers into the config."
            )
        told |= {key: list(value) for key, value in facts.items()}
        preprocessing = getattr(model, 'preprocessing', None)  # no head needs it
        return told | ({'preprocessing': preprocessing} if preprocessing else {})

    def _describe_data(self) -> dict[str, Any]:
        for loader in _DATALOADERS:
            dataset = (self.config.get(loader) or {}).get('dataset')
            if dataset:
                break
        else:
            raise ConfigError('a hole asks for ${data.…}, but the config has no data loader')
        dataset = holes.fill(_without_data_holes(dataset), self, f'{loader}.dataset')
        classes = read_classes(dataset, self.config.get('default_scope'))
        return {
            'classes': tuple(classes),  # mmdet's tools add to them as to such
            'num_classes': len(classes),
            'set_weights': [1.0] * len(classes) + [_NO_OBJECT],
        }


def _build_without_memory(settings: dict[str, Any]) -> Any:
    """Build a module of which only the shapes are wanted."""
    try:
        with torch.device('meta'):
            return MODELS.build(dict(settings))
    except RuntimeError:  # some compute with tensors while they are built
        return MODELS.build(dict(settings))


def _prepare_data(config: Mapping[str, Any], look_up: _Names) -> None:
    """Write the embedded data set that ``config['prepare_data']`` names, unless it is there."""
    if not config.get('prepare_data'):
        return
    settings = holes.fill(dict(config['prepare_data']), look_up, 'prepare_data')
    kind = settings.pop('type', None)
    function = FUNCTIONS.get(str(kind))
    if function is None:
        raise ConfigError(f'prepare_data.type = {kind!r}: no such function; vitmm.write_shapes is.')
    try:
        inspect.signature(function).bind(**settings)
    except TypeError as error:
        raise ConfigError(f'prepare_data ({kind}): {error}.') from error
    try:
        function(**settings)
    except AnotherSetError as error:
        if not all(re.fullmatch(r'num_\w+|seed', key) for key in error.there):
            raise  # of another version, say, which nothing makes any more
        pairs = [f'prepare_data.{key}={value}' for key, value in error.there.items()]
        raise DataError(f'{error}, or take it: --cfg-options {" ".join(pairs)}') from error
    except OthersFolderError as error:
        raise OthersFolderError(
            f'{error}. Data of your own also needs its format: --data coco or voc (boxes), folder '
            '(masks), imagefolder (classes) or nyu (depth); docs/data.md has them all'
        ) from error


def _without_data_holes(value: Any) -> Any:
    """Drop what the data itself will fill (``metainfo``), and what may ask for it in its turn.

    The pipeline loads what the model wants, and the model has as many classes as the data.
    """
    if isinstance(value, Mapping):
        return {
            k: _without_data_holes(v)
            for k, v in value.items()
            if k != 'pipeline' and not _is_data_hole(v)
        }
    if isinstance(value, list | tuple):
        return [_without_data_holes(item) for item in value if not _is_data_hole(item)]
    return value


def _is_data_hole(value: Any) -> bool:
    return isinstance(value, str) and holes.begins_with(value, 'data')
