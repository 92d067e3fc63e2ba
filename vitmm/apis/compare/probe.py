"""What frozen features know: a ranking of many backbones in the time of one training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.evaluation import Accuracy
from torch import nn
from torch.nn import functional as F
from torchvision.ops import roi_align
from tqdm import tqdm

from vitmm.apis.compare.jobs import plain
from vitmm.apis.compare.per_class import ask, take_apart
from vitmm.apis.compare.ridge import Ridge
from vitmm.apis.compare.testing import class_names
from vitmm.apis.knn import feature_batches, plain_loaders, vote
from vitmm.apis.launch import build_runner, prepare
from vitmm.errors import ConfigError

_HELD_OUT = 5  # of so many training batches one chooses the penalty
_CELLS = 512  # of a training image that are looked at, segmentation
_NEIGHBOURS = 10
_BINS = 7  # a side, that a box is averaged over, as detectors pool it
_Pairs = Iterator[tuple[torch.Tensor, torch.Tensor]]


def probe(told: dict, folder: Path) -> dict:
    """Fit a linear model on frozen features of the training data, and measure it on the test data.

    Training images go through the test pipeline. Classification: pooled features, also by their
    nearest neighbours. Segmentation: the maps of all strides, each pixel's class at the centre of a
    cell; measured by the recipe's own metric. Detection: the maps averaged over each labelled box,
    and its class; where the boxes are is given, so this says nothing of finding them.

    Args:
        told: what ``Job.write`` wrote.
        folder: of the backbone.

    Returns:
        ``scores``, ``per_class``, and ``pretrained``: whether the backbone had weights.

    Raises:
        ConfigError: a task that has no probe.
    """
    cfg = prepare(
        told['recipe'],
        data=told['data'],
        options=told['options'],
        work_dir=folder / 'probe',
        loaders=('train_dataloader', 'test_dataloader'),
    )
    task = task_of(cfg)
    runner = build_runner(cfg)
    runner._init_model_weights()
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    model = runner.model.eval()
    scores, per_class = task(model, cfg, told['amp'])
    pretrained = bool(cfg.model.backbone.get('pretrained'))
    return {'scores': scores, 'per_class': per_class, 'pretrained': pretrained}


def task_of(cfg: Config) -> Any:
    """The function that probes the task of a config, resolved or not.

    Raises:
        ConfigError: it has none.
    """
    kind = cfg.model.type.rpartition('.')[2]
    if kind == 'ImageClassifier' and 'MultiLabel' not in (cfg.model.get('head') or {}).get(
        'type', ''
    ):
        return _classify
    if kind == 'EncoderDecoder':
        return _segment
    if cfg.get('default_scope') == 'mmdet':
        return _name_boxes
    raise ConfigError(
        f'--mode probe is offered for classification (one class an image), segmentation and '
        f'detection, not for {kind} yet.'
    )


def _classify(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    names = class_names(cfg)
    count = cfg.model.head.num_classes
    kept = list(feature_batches(model, train, 'training images', amp))
    queries = list(feature_batches(model, test, 'test images', amp))
    classifier = _fit(iter(kept), count)
    features, truths = (torch.cat(parts) for parts in zip(*queries, strict=True))
    bank, labels = (torch.cat(parts) for parts in zip(*kept, strict=True))
    k = min(_NEIGHBOURS, len(bank))
    votes = vote(features, bank, labels, k, 0.07, count)
    scored = classifier(features)
    scores = {
        'linear/top1': float(Accuracy.calculate(scored, truths)[0][0]),
        f'knn{k}/top1': float(Accuracy.calculate(votes, truths)[0][0]),
    }
    return scores, _recalls(scored.argmax(1), truths, names)


def _name_boxes(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    names = class_names(cfg)
    classifier = _fit(_boxes(model, train, 'training images', amp), len(names))
    found, truths = [], []
    for features, labels in _boxes(model, test, 'test images', amp):
        found.append(classifier(features).argmax(1))
        truths.append(labels)
    answers, truth = torch.cat(found), torch.cat(truths)
    scores = {'boxes/top1': 100 * float((answers == truth).double().mean())}
    return scores, _recalls(answers, truth, names)


def _segment(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    names = class_names(cfg)
    classifier = _fit(_cells(model, train, len(names), amp), len(names))
    metric = Evaluator(ask(cfg.test_evaluator))
    metric.dataset_meta = test.dataset.metainfo
    with torch.inference_mode():
        for batch in tqdm(test, desc='test images'):
            data = model.data_preprocessor(batch)
            maps = _joined(model, data['inputs'], amp)
            logits = classifier(maps.movedim(1, -1)).movedim(-1, 1)
            # As a head would: to the size of the padded images, then to that of each file.
            logits = F.interpolate(logits, data['inputs'].shape[2:], mode='bilinear')
            samples = model.postprocess_result(logits, data['data_samples'])
            metric.process(data_samples=samples, data_batch=batch)
    scores, what, values = take_apart(plain(metric.evaluate(len(test.dataset))), names)
    return scores, {'what': what, 'values': values}


def _fit(pairs: _Pairs, classes: int) -> Any:
    """Fit on pairs of features (N, C) and classes (N,); return features -> scores (…, K)."""
    ridge = None
    for number, (features, labels) in enumerate(pairs):
        ridge = ridge or Ridge(features.shape[1], classes, features.device)
        ridge.add(features, labels, held_out=number % _HELD_OUT == _HELD_OUT - 1)
    if ridge is None:
        raise ConfigError('--mode probe: the training data has nothing labelled.')
    weight, bias = ridge.fit()
    return lambda features: features @ weight + bias


@torch.inference_mode()
def _boxes(model: nn.Module, loader: Any, what: str, amp: bool) -> _Pairs:
    for batch in tqdm(loader, desc=what):
        data = model.data_preprocessor(batch)
        images, samples = data['inputs'], data['data_samples']
        boxes, labels = [], []
        for sample in samples:
            found = sample.gt_instances.bboxes
            found = getattr(found, 'tensor', found).to(images)
            # Labels are loaded after resizing, in pixels of the file.
            boxes.append(found * found.new_tensor(sample.scale_factor).repeat(2))
            labels.append(sample.gt_instances.labels.to(images.device))
        if not sum(map(len, labels)):
            continue
        with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
            maps = model.backbone(images)
        strides = [images.shape[2] / one.shape[2] for one in maps]
        pooled = [
            roi_align(one.float(), boxes, _BINS, 1 / stride, 2, aligned=True).mean((2, 3))
            for one, stride in zip(maps, strides, strict=True)
        ]
        yield torch.cat(pooled, 1), torch.cat(labels)


@torch.inference_mode()
def _cells(model: nn.Module, loader: Any, classes: int, amp: bool) -> _Pairs:
    """Features and classes at some cells of each training image, those that have a class."""
    generator = torch.Generator().manual_seed(0)
    for batch in tqdm(loader, desc='training images'):
        data = model.data_preprocessor(batch)
        maps = _joined(model, data['inputs'], amp)
        features, labels = [], []
        for one, sample in zip(maps, data['data_samples'], strict=True):
            truth = sample.gt_sem_seg.data[0].to(one.device)
            rows, columns = (
                _centres(cells, padded, shown, size, one.device)
                for cells, padded, shown, size in zip(
                    one.shape[1:],
                    data['inputs'].shape[2:],
                    sample.img_shape[:2],
                    truth.shape,
                    strict=True,
                )
            )
            seen = truth[rows][:, columns].flatten().long()
            # Padding is to the right and below: the cells in the image are the first.
            inside = one[:, : len(rows), : len(columns)].flatten(1).T
            known = (seen < classes).nonzero()[:, 0]
            some = known[torch.randperm(len(known), generator=generator)[:_CELLS].to(known.device)]
            features.append(inside[some])
            labels.append(seen[some])
        if sum(map(len, labels)):
            yield torch.cat(features), torch.cat(labels)


def _centres(cells: int, padded: int, shown: int, size: int, device: torch.device) -> torch.Tensor:
    """In a file of ``size`` pixels, where the centres of the cells are that lie in the image."""
    centres = (torch.arange(cells, device=device) + 0.5) * padded / cells
    inside = centres[centres < shown]
    return (inside * size / shown).long().clamp(max=size - 1)


def _joined(model: nn.Module, images: torch.Tensor, amp: bool) -> torch.Tensor:
    """The maps of all strides as one, (N, C, h, w): on the grid of the one nearest to stride 8."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
        maps = list(dict.fromkeys(model.backbone(images)))  # a plain ViT gives one map four times
    grid = min((m.shape[2:] for m in maps), key=lambda s: abs(images.shape[2] / s[0] - 8))
    resized = [
        one.float()
        if one.shape[2:] == grid
        else F.interpolate(one.float(), grid, mode='bilinear', antialias=True)
        for one in maps
    ]
    return torch.cat(resized, dim=1)


def _recalls(found: torch.Tensor, truth: torch.Tensor, names: list[str]) -> dict:
    values = {}
    for number, name in enumerate(names):
        mine = truth == number
        values[name] = 100 * float((found[mine] == number).double().mean()) if mine.any() else None
    return {'what': 'recall', 'values': values}
