"""Regions of a pyramid, level by level, with one reading of how many each level has."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import nn

from vitmm.models.halts.avoiding import read, replace


def avoid(module: nn.Module) -> None:
    """Replace what an extractor of regions does."""
    if type(module) is SingleRoIExtractor:
        replace(module, 'forward', _forward)


def _forward(
    extractor: SingleRoIExtractor,
    feats: Sequence[torch.Tensor],
    rois: torch.Tensor,
    roi_scale_factor: float | None = None,
) -> torch.Tensor:
    """``SingleRoIExtractor.forward``: maps (N, C, H, W), regions (K, 5) -> (K, C, h, w)."""
    if len(feats) == 1 or not len(rois):
        stock = type(extractor).forward
        return stock(extractor, feats, rois, roi_scale_factor)
    rois = rois.type_as(feats[0])
    levels = extractor.map_roi_levels(rois, len(feats))
    if roi_scale_factor is not None:
        rois = extractor.roi_rescale(rois, roi_scale_factor)
    numbers = torch.arange(len(feats), device=rois.device)
    counts = read((levels[:, None] == numbers).sum(dim=0))
    order = levels.argsort(stable=True)
    parts = rois[order].split(counts)
    layers = zip(extractor.roi_layers, feats, parts, strict=False)
    found = torch.cat([_of_level(layer, level, part) for layer, level, part in layers])
    return found[order.argsort()]


def _of_level(layer: nn.Module, level: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
    if len(rois):
        return layer(level, rois)
    none = level.new_zeros(0, level.shape[1], *layer.output_size)
    return none + 0 * level.sum()  # the map stays in the graph, for DDP
