"""A recipe of ours in stock OpenMMLab parts: a plain config, as their own users would write it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

STOCK = {  # ours -> theirs; None goes without anything in its place
    'vitmm.LoadImage': dict(type='LoadImageFromFile'),
    'vitmm.DetDataPreprocessor': 'mmdet.DetDataPreprocessor',
    'vitmm.AtomicCheckpointHook': 'CheckpointHook',
    'vitmm.CocoMetric': 'mmdet.CocoMetric',
    'vitmm.ClsVisualizer': 'mmpretrain.UniversalVisualizer',
    'vitmm.DetVisualizer': 'mmdet.DetLocalVisualizer',
    'vitmm.SegVisualizer': 'mmseg.SegLocalVisualizer',
    'vitmm.Accuracy': 'mmpretrain.Accuracy',
    'vitmm.CrossEntropyLoss': dict(type='mmpretrain.CrossEntropyLoss', loss_weight=1.0),
    'vitmm.MaxIoUAssigner': 'mmdet.MaxIoUAssigner',
    'vitmm.OptimWrapper': 'OptimWrapper',
    'vitmm.ValLoop': 'ValLoop',
    'vitmm.TestLoop': 'TestLoop',
    'vitmm.RuntimeInfoHook': 'RuntimeInfoHook',
    'vitmm.FeaturePyramid': None,
    'vitmm.Planes': None,
    'vitmm.collate': 'pseudo_collate',
    'vitmm.stack_images': 'pseudo_collate',
    'vitmm.SameSizeBatchSampler': None,
    'vitmm.EpochSeedHook': None,
    'vitmm.FewerHaltsHook': None,
    'vitmm.ProgressHook': None,
    'vitmm.seed_worker': None,
    'TensorboardVisBackend': None,  # in none of their configs
}
WRAPPERS = ('vitmm.CheckedLoad', 'vitmm.ForRGB')


def to_stock(recipe: Config, backbone: dict, neck: dict | None = None) -> Config:
    """Exchange every part of ours in a resolved recipe for the stock one.

    Args:
        recipe: what ``vitmm.config.resolve`` returned.
        backbone: the stock backbone's config.
        neck: what brings its maps to other strides, before the recipe's own neck, if anything.

    Raises:
        ValueError: a part of ours has no stock part in its place.
    """
    # What a Runner takes; all else at the top of a recipe is parts that these hold already.
    taken = inspect.signature(Runner.__init__).parameters
    plain = {key: value for key, value in recipe.to_dict().items() if key in taken}
    plain['model']['backbone'] = backbone
    if neck:
        plain['model']['neck'] = [neck, *plain['model']['neck'][1:]]  # vitmm.FeaturePyramid's place
    plain['optim_wrapper']['optimizer'].pop('fused', None)  # in none of their configs
    if recipe.default_scope != 'mmpretrain':
        plain['train_dataloader'].pop('pin_memory', None)  # likewise
    for loader in ('val_dataloader', 'test_dataloader'):
        if 'SameSize' in str(plain[loader].get('batch_sampler')):
            plain[loader]['batch_size'] = 1  # what mmseg's can take
    for loader in ('train_dataloader', 'val_dataloader'):
        plain[loader]['persistent_workers'] = plain[loader]['num_workers'] > 0  # in their configs
    stock = _exchange(plain)
    if 'vitmm' in str(stock):
        raise ValueError(f'a part of vitmm is left in {stock}')
    return Config(stock)


def write_stock(
    recipe: str | Path, options: dict, path: str | Path, backbone: dict, neck: dict | None = None
) -> None:
    """Write the plain config of a recipe with these options (what ``--cfg-options`` takes)."""
    from vitmm.config import load_config, resolve

    to_stock(resolve(load_config(recipe, options=options)), backbone, neck).dump(path)


def _exchange(value: Any) -> Any:
    """The value with stock parts; None for a part that has none."""
    if isinstance(value, dict):
        kind = value.get('type')
        if kind in WRAPPERS:
            return _exchange(value['transform'])
        other = STOCK.get(kind, kind) if isinstance(kind, str) else kind
        if kind is not None and other is None:
            return None
        if kind in ('mmpretrain.ResizeEdge', 'mmpretrain.RandomResizedCrop'):
            value = {**value, 'backend': 'pillow'}  # theirs has no other that is as smooth
        if isinstance(other, dict):
            return dict(other)
        kept = {}
        for key, inner in value.items():
            if isinstance(inner, dict) and inner.get('backend') == 'vitmm_picture':
                continue
            new = _exchange(inner)
            if new is not None or inner is None:
                kept[key] = new
        return kept | ({'type': other} if kind is not None else {})
    if isinstance(value, list | tuple):
        found = [(_exchange(item), item) for item in value]
        kept = [new for new, old in found if new is not None or old is None]
        return kept if isinstance(value, list) else tuple(kept)
    return value
