"""Noisy queries of DINO, made without asking which labels are noisy or how many there are."""

import torch
from mmdet.models.layers.transformer import CdnQueryGenerator
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace


def avoid(module: nn.Module) -> None:
    """Replace what reads in the generator of queries."""
    same = ('__call__', 'get_num_groups', 'generate_dn_label_query', 'collate_dn_queries')
    if overrides_none(module, CdnQueryGenerator, *same):
        replace(module, 'get_num_groups', _get_num_groups)
        replace(module, 'generate_dn_label_query', _label_query)
        replace(module, 'collate_dn_queries', _collate)


def _get_num_groups(generator: CdnQueryGenerator, max_num_target: int | None = None) -> int:
    """``CdnQueryGenerator.get_num_groups``, and remember what the largest image has."""
    generator.most_objects = max_num_target
    return type(generator).get_num_groups(generator, max_num_target)


def _label_query(
    generator: CdnQueryGenerator, gt_labels: torch.Tensor, num_groups: int
) -> torch.Tensor:
    """``CdnQueryGenerator.generate_dn_label_query``: labels (T,) -> (2 * groups * T, channels)."""
    labels = gt_labels.repeat(2 * num_groups)
    noisy = torch.rand(len(labels), device=labels.device) < generator.label_noise_scale * 0.5
    others = torch.randint_like(labels, 0, generator.num_classes)
    return generator.label_embedding(torch.where(noisy, others, labels))


def _collate(
    generator: CdnQueryGenerator,
    input_label_query: torch.Tensor,
    input_bbox_query: torch.Tensor,
    batch_idx: torch.Tensor,
    batch_size: int,
    num_groups: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``CdnQueryGenerator.collate_dn_queries``: (2 * groups * T, C) -> (N, queries, C), each.

    An image's objects come first in each of its 2 * groups parts, which are as long as the objects
    of the largest image.
    """
    images = torch.arange(batch_size, device=batch_idx.device)
    counts = (batch_idx[:, None] == images).sum(dim=0)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(batch_idx), device=batch_idx.device) - first[batch_idx]
    parts, most = 2 * num_groups, generator.most_objects
    part = torch.arange(parts, device=batch_idx.device)[:, None] * most
    where = batch_idx.repeat(parts), (part + place).flatten()

    def spread(queries: torch.Tensor) -> torch.Tensor:
        empty = queries.new_zeros(batch_size, parts * most, queries.shape[1])
        return empty.index_put(where, queries)

    return spread(input_label_query), spread(input_bbox_query)
