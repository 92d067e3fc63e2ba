"""The same proposals for both sides of a comparison: near the objects, and anywhere.

From random weights each side's RPN proposes something else, so one mask head may get half as many
regions again as the other's. The RPN runs as it does, its losses and NMS included; what comes of it
is replaced, so that every sampler finds all the positives that it wants.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

COUNT = 1000  # of an image, as many as our base configs keep


def around(boxes: torch.Tensor, side: int, near: int) -> torch.Tensor:
    """Proposals (COUNT, 4) in x1 y1 x2 y2 for an image's boxes (N, 4), the same every time.

    Args:
        boxes: of the objects.
        side: of the square image, in pixels.
        near: how many of the proposals overlap an object by an IoU above 0.6, before they are cut
            off at the border of the image.
    """
    random = torch.Generator().manual_seed(3)
    extent = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    chosen = torch.arange(near, device=boxes.device) % len(boxes)
    shifts = torch.rand(near, 4, generator=random).to(boxes) * 0.2 - 0.1
    close = boxes[chosen] + shifts * extent[chosen]
    corner = torch.rand(COUNT - near, 2, generator=random) * 0.6
    sizes = torch.rand(COUNT - near, 2, generator=random) * 0.35 + 0.05
    anywhere = torch.cat([corner, corner + sizes], 1).to(boxes) * side
    return torch.cat([close, anywhere]).clamp(0, side)


def replace(network: nn.Module, proposals: Sequence[torch.Tensor]) -> None:
    """Let the RoI heads of mmdet's or torchvision's detector see these, one tensor an image."""
    if hasattr(network, 'rpn'):
        network.rpn.register_forward_hook(lambda _, args, told: ([*proposals], told[1]))
        return
    from mmengine.structures import InstanceData

    both = network.rpn_head.loss_and_predict

    def loss_and_these(*args, **kwargs):
        losses, _ = both(*args, **kwargs)
        results = [
            InstanceData(
                bboxes=boxes,
                scores=boxes.new_ones(len(boxes)),
                labels=boxes.new_zeros(len(boxes), dtype=torch.long),
            )
            for boxes in proposals
        ]
        return losses, results

    network.rpn_head.loss_and_predict = loss_and_these
