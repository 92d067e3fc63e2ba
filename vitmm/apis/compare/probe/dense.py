"""A value of each pixel: its class, or its depth."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from vitmm.apis.compare.jobs import plain
from vitmm.apis.compare.per_class import ask, take_apart
from vitmm.apis.compare.probe.fit import Pairs, fit, fit_classes
from vitmm.apis.compare.testing import class_names
from vitmm.apis.knn import plain_loaders

_CELLS = 512  # of a training image that are looked at


def segment(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    """The recipe's metrics of a linear classifier of cells."""
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    count = len(class_names(cfg))
    cells = _cells(model, train, amp, lambda s: s.gt_sem_seg.data[0].long(), lambda c: c < count)
    return _measure(model, cfg, test, amp, fit_classes(cells, count))


def measure_depth(model: nn.Module, cfg: Config, amp: bool) -> tuple[dict, dict]:
    """The recipe's metrics of a linear model of the logarithm of each cell's depth."""
    train, test = (Runner.build_dataloader(loader) for loader in plain_loaders(cfg))
    cells = _cells(model, train, amp, lambda s: s.gt_depth_map.data[0], lambda metres: metres > 0)
    linear = fit((features, metres.log()[:, None]) for features, metres in cells)
    return _measure(model, cfg, test, amp, lambda features: linear(features).exp())


def _measure(
    model: nn.Module, cfg: Config, test: Any, amp: bool, linear: Callable
) -> tuple[dict, dict]:
    metric = Evaluator(ask(cfg.test_evaluator))
    metric.dataset_meta = test.dataset.metainfo
    with torch.inference_mode():
        for batch in tqdm(test, desc='test images'):
            data = model.data_preprocessor(batch)
            maps = _joined(model, data['inputs'], amp)
            values = linear(maps.movedim(1, -1)).movedim(-1, 1)
            # As a head would: to the size of the padded images, then to that of each file.
            values = F.interpolate(values, data['inputs'].shape[2:], mode='bilinear')
            samples = model.postprocess_result(values, data['data_samples'])
            metric.process(data_samples=samples, data_batch=batch)
    found = plain(metric.evaluate(len(test.dataset)))
    scores, what, by_class = take_apart(found, class_names(cfg))
    return scores, {'what': what, 'values': by_class}


@torch.inference_mode()
def _cells(
    model: nn.Module, loader: Any, amp: bool, truth_of: Callable, is_known: Callable
) -> Pairs:
    """Features and truth at some cells of each training image, of those where it is known."""
    generator = torch.Generator().manual_seed(0)
    for batch in tqdm(loader, desc='training images'):
        data = model.data_preprocessor(batch)
        maps = _joined(model, data['inputs'], amp)
        features, values = [], []
        for one, sample in zip(maps, data['data_samples'], strict=True):
            truth = truth_of(sample).to(one.device)
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
            seen = truth[rows][:, columns].flatten()
            # Padding is to the right and below: the cells in the image are the first.
            inside = one[:, : len(rows), : len(columns)].flatten(1).T
            known = is_known(seen).nonzero()[:, 0]
            some = known[torch.randperm(len(known), generator=generator)[:_CELLS].to(known.device)]
            features.append(inside[some])
            values.append(seen[some])
        if sum(map(len, values)):
            yield torch.cat(features), torch.cat(values)


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
