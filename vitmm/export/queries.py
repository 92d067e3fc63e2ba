"""Detectors whose queries find boxes: Deformable DETR and DINO."""

from types import MethodType

import torch
from torch import Tensor, nn

from vitmm.errors import ConfigError
from vitmm.export.levels import Levels, sequence
from vitmm.export.nms import at_most


class QueryBoxes(nn.Module):
    """mmdet's DeformableDETR and DINO, for one image. There is no NMS: queries know each other.

    Args:
        model: one of the two, with the attention of :mod:`.attention`.

    Raises:
        ConfigError: another one.
    """

    masks = None

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        from mmdet.models.dense_heads import DETRHead
        from mmdet.models.detectors import DINO, DeformableDETR

        head = model.bbox_head
        if type(model) not in (DeformableDETR, DINO):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported: of detectors with queries, '
                'DeformableDETR and DINO can be.'
            )
        if type(head)._predict_by_feat_single is not DETRHead._predict_by_feat_single:
            raise ConfigError(
                f'{type(head).__name__} cannot be exported: it decodes its boxes in a way of its '
                'own.'
            )
        if type(model) is DINO and any(p.dtype == torch.float16 for p in model.parameters()):
            raise ConfigError(
                'DINO cannot be exported with --fp16: its queries differ by the rank of the cells '
                'that they come from, and float16 changes the ranks.'
            )
        model.encoder.get_encoder_reference_points = _places
        model.gen_encoder_output_proposals = MethodType(_proposals, model)
        self.model = model
        self.least = model.num_queries if model.as_two_stage else 0
        self.limits = f', with {self.least} cells in all maps or more' if self.least else ''

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Images (1, C, H, W) -> boxes (K, 4) in pixels, scores (K,), labels (K,), best first."""
        model = self.model
        maps = [one.float() for one in model.extract_feat(images)]
        levels = Levels.of(maps, size, images.shape[-2:])
        count = sum(h * w for h, w in levels.sizes)
        if isinstance(count, int) and count < self.least:  # --dynamic knows no number
            raise ConfigError(
                f'images of {size[0]} x {size[1]} pixels have {count} cells in all maps, fewer '
                f'than the {self.least} queries that are chosen among them: give a larger --size.'
            )
        masks = levels.masks()
        cells, places = sequence(maps, masks, model.positional_encoding, model.level_embed)
        mask = None if masks[0] is None else torch.cat([one.flatten(1) for one in masks], 1)
        told = dict(spatial_shapes=levels, level_start_index=None, valid_ratios=levels.shares())
        memory = model.forward_encoder(feat=cells, feat_mask=mask, feat_pos=places, **told)
        queries, _ = model.pre_decoder(**memory)
        decoded = model.forward_decoder(**queries, memory_mask=mask, **told)
        logits, boxes = (layers[-1][0] for layers in model.bbox_head(**decoded))
        return self._best(logits, boxes, size)

    def _best(self, logits: Tensor, boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Logits (Q, classes) and boxes (Q, 4) centre and size, 0 to 1 -> the best, in pixels."""
        head = self.model.bbox_head
        count = head.test_cfg.get('max_per_img', logits.shape[0])
        if head.loss_cls.use_sigmoid:
            classes = logits.shape[1]
            scores, index = logits.sigmoid().flatten().topk(at_most(count, logits.numel()))
            labels, index = index % classes, index // classes
        else:
            scores, labels = logits.softmax(-1)[:, :-1].max(-1)
            scores, index = scores.topk(at_most(count, scores.shape[0]))
            labels = labels[index]
        x, y, width, height = boxes[index].unbind(-1)
        corners = [
            (centre + side * half) * length
            for half in (-0.5, 0.5)
            for centre, side, length in ((x, width, size[1]), (y, height, size[0]))
        ]
        limits = (size[1], size[0]) * 2
        boxes = [one.clamp(0, most) for one, most in zip(corners, limits, strict=True)]
        return torch.stack(boxes, -1), scores, labels


def _places(levels: Levels, shares: Tensor, device: object) -> Tensor:
    """Where each cell looks from on each level, (1, cells, levels, 2), 0 to 1 with padding."""
    return levels.centres()[:, :, None] * shares[:, None]


def _proposals(
    model: nn.Module, cells: Tensor, mask: Tensor | None, levels: Levels
) -> tuple[Tensor, Tensor]:
    """A box around each cell, as logits (1, cells, 4), and what the cells say (1, cells, C)."""
    sides = [torch.full((h * w, 2), 0.05 * 2.0**n) for n, (h, w) in enumerate(levels.sizes)]
    boxes = torch.cat([levels.centres(), torch.cat(sides)[None]], -1)
    real = ((boxes > 0.01) & (boxes < 0.99)).all(-1, keepdim=True)
    if mask is not None:
        real = real & ~mask[..., None]
    logits = torch.log(boxes / (1 - boxes)).masked_fill(~real, float('inf'))
    cells = model.memory_trans_fc(cells.masked_fill(~real, 0.0))
    return model.memory_trans_norm(cells), logits
