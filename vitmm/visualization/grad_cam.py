"""Grad-CAM: where the map counts for a score.

Selvaraju et al., https://arxiv.org/abs/1610.02391.
"""

from collections.abc import Sequence

import torch

from vitmm.visualization.capturing import Level


def grad_cam(maps: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """ReLU of the maps' sum, each weighted by the mean of its gradient.

    Args:
        maps: (N, C, h, w).
        gradients: of the score with respect to them, likewise.

    Returns:
        (N, h, w), 0 or more.
    """
    weights = gradients.float().mean((2, 3), keepdim=True)
    return (weights * maps.float()).sum(1).relu()


def grad_cams(score: torch.Tensor, levels: Sequence[Level]) -> list[tuple[Level, torch.Tensor]]:
    """Grad-CAM at each of several levels of one image.

    A block behind which only the class token is read gets no gradient at the cells: there the map
    before the block is taken, as is usual for ViTs.

    Args:
        score: a scalar that was computed from the levels; its graph is kept.
        levels: of :func:`.capturing.capture`.

    Returns:
        The level that was taken and its (h, w) float32 on the CPU, of each level that the score
        depends on.
    """
    wanted = [one for level in levels for one in (level, level.before) if one is not None]
    tensors = [one.tensor for one in wanted]
    found = torch.autograd.grad(score, tensors, retain_graph=True, allow_unused=True)
    gradients = {id(one): found for one, found in zip(wanted, found, strict=True)}
    cams = []
    for level in levels:
        for one in (level, level.before):
            gradient = gradients.get(id(one))
            if gradient is None:
                continue
            gradient = one.to_map(gradient)
            if gradient.any():
                cam = grad_cam(one.to_map(one.tensor.detach()), gradient)
                cams.append((one, cam[0].cpu()))
                break
    return cams
