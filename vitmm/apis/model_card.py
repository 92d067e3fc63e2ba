"""What a published model says of itself, in the form of Hugging Face's model cards."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from mmengine.config import Config
from torch import nn

from vitmm.apis.scalars import last_scores
from vitmm.config.length import counts_epochs
from vitmm.datasets.sources import leaves
from vitmm.inference.stored_model import StoredModel

_TASKS = {  # for people, and Hugging Face's names of the same
    'cls': ('image classification', 'image-classification'),
    'det': ('object detection', 'object-detection'),
    'seg': ('semantic segmentation', 'image-segmentation'),
    'depth': ('monocular depth, in metres', 'depth-estimation'),
}
_SHOWN = 100  # classes, at most


def write_card(
    stored: StoredModel,
    model: nn.Module,
    task: str,
    metadata: Mapping[str, str],
    licence: str | None,
    digest: str,
    folder: str,
) -> str:
    """The text of the card.

    Args:
        stored: the checkpoint.
        model: built of it.
        task: ``'cls'``, ``'det'``, ``'seg'`` or ``'depth'``.
        metadata: of the weights' file: the names of the config and the versions of the packages.
        licence: of the weights, or None.
        digest: sha256 of the weights' file.
        folder: the name of the folder that all is in.
    """
    name, cfg = metadata['config'], stored.config
    words, pipeline = _TASKS[task]
    backbone = cfg.model.get('backbone') or {}
    rows = {
        'task': words,
        'backbone': _backbone(backbone),
        'head': _head(cfg.model),
        'parameters': f'{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M',
        'classes': _classes(stored.classes),
        'trained on': _data(cfg, 'train_dataloader'),
        'validated on': _data(cfg, 'val_dataloader'),
        'trained for': _length(stored.meta),
        'licence': licence or 'not stated',
        'sha256 of model.safetensors': f'`{digest}`',
        'made with': ', '.join(f'{key} {metadata[key]}' for key in ('vitmm', 'torch', 'timm')),
    }
    head = ['---', *([f'license: {licence}'] if licence else []), f'pipeline_tag: {pipeline}']
    return '\n'.join(
        [
            *head,
            'tags: [vitmm, timm, openmmlab]',
            '---',
            '',
            f'# {name}',
            '',
            '| | |',
            '| --- | --- |',
            *(f'| {key} | {value} |' for key, value in rows.items() if value),
            '',
            '## Metrics',
            '',
            *_metrics(stored),
            '',
            '## Use',
            '',
            'With vitmm installed, from its folder:',
            '',
            '```bash',
            f'python tools/infer.py {shlex.quote(folder)} images/ --out results',
            f'python tools/test.py {shlex.quote(folder)}',
            '```',
            '',
            '```python',
            'from vitmm.apis.inference import Predictor',
            '',
            f"for path, result in Predictor({folder!r})('images/*.jpg'):",
            '    print(path, result)',
            '```',
            '',
        ]
    )


def _backbone(settings: Mapping[str, Any]) -> str:
    name = settings.get('model_name')
    if not name:
        return f'`{settings.get("type", "none")}`'
    pretrained = settings.get('pretrained')
    if pretrained is not True:
        begun = f', begun with {Path(pretrained).name}' if pretrained else ''
        return f'`{name}` of timm{begun}'
    told = timm.get_pretrained_cfg(name)
    licence = getattr(told, 'license', None) or 'not stated'
    return f"`{name}` of timm, begun with timm's weights (licence: {licence})"


def _head(model: Mapping[str, Any]) -> str:
    keys = ('neck', 'rpn_head', 'roi_head', 'bbox_head', 'mask_head', 'decode_head', 'head')
    parts = [part for key in keys for part in _listed(model.get(key)) if part]
    return ', '.join(f'`{part["type"]}`' for part in ({'type': model['type']}, *parts))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _classes(names: list[str] | None) -> str:
    if not names:
        return ''
    more = f', … ({len(names)} in all)' if len(names) > _SHOWN else ''
    return f'{len(names)}: {", ".join(names[:_SHOWN])}{more}'


def _data(config: Config, loader: str) -> str:
    if not (config.get(loader) or {}).get('dataset'):
        return ''
    said = []
    for dataset in leaves(config[loader]['dataset']):
        prefix = dataset.get('data_prefix')
        images = prefix if isinstance(prefix, str) else next(iter((prefix or {}).values()), '')
        root = Path(dataset.get('data_root') or '').name  # where it lay is of no use elsewhere
        said.append(f'`{root}` ({dataset["type"]}, {dataset.get("ann_file") or images})')
    return ', '.join(said)


def _length(meta: Mapping[str, Any]) -> str:
    if 'iter' not in meta:
        return ''
    return f'{meta.get("epoch", 0)} epochs, {meta["iter"]} iterations'


def _metrics(stored: StoredModel) -> list[str]:
    found = scores_of(stored)
    if not found:
        return ['Not known here: no log of its training beside the checkpoint tells.']
    # COCO's -1 stands for sizes of which there are no objects.
    rows = [f'| {name} | {value:.4f} |' for name, value in found.items() if value != -1]
    return [
        'Of the validation of this very checkpoint, as its training logged it.',
        '',
        '| metric | value |',
        '| --- | ---: |',
        *rows,
    ]


def _logged_by(config: Config) -> str | None:
    """The counter that validations are logged by; None where it tells them not apart."""
    logger = (config.get('default_hooks') or {}).get('logger') or {}
    if not logger.get('log_metric_by_epoch', True):
        return 'iter'
    return 'epoch' if counts_epochs(config.get('train_cfg') or {}) else None


def scores_of(stored: StoredModel) -> dict[str, float]:
    """The metrics of the validation at a checkpoint's own step, from the logs in its work dir."""
    step = stored.meta.get(_logged_by(stored.config))
    found: dict[str, float] = {}
    if step is not None:
        logs = stored.path.parent.glob('*/vis_data/scalars.json')
        for log in sorted(logs, key=lambda path: path.stat().st_mtime):
            found = last_scores(log, step) or found
    return found
