"""Multi-scale deformable attention (Zhu et al. 2021), as one weighted gather.

mmcv's own PyTorch version, which it uses on the CPU, reads the shapes of the levels back to the
host. On a GPU that waits for all the work before it, so the levels stay on the device here.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import weighted_gather, widen


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Attend to sampled points.

    Args:
        value: (B, keys, heads, D), the maps of all levels, one after the other.
        value_spatial_shapes: (levels, 2) height and width of each.
        value_level_start_index: (levels,) where each begins among the keys.
        sampling_locations: (B, queries, heads, levels, points, 2) x and y in 0 to 1.
        attention_weights: (B, queries, heads, levels, points).
        im2col_step: images at a time in the extension; all go at once here.

    Returns:
        (B, queries, heads * D) in the type of ``value``.
    """
    with torch.no_grad():
        attended = _attend(
            widen(value),
            value_spatial_shapes,
            value_level_start_index,
            widen(sampling_locations),
            widen(attention_weights),
        )
    return attended.to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fill the gradients of value, locations and weights; arguments as in the forward."""
    with torch.enable_grad():
        inputs = [
            widen(tensor).detach().requires_grad_()
            for tensor in (value, sampling_locations, attention_weights)
        ]
        attended = _attend(
            inputs[0], value_spatial_shapes, value_level_start_index, inputs[1], inputs[2]
        )
        grads = torch.autograd.grad(attended, inputs, grad_output.to(attended.dtype))
    grad_value.copy_(grads[0])
    grad_sampling_loc.copy_(grads[1])
    grad_attn_weight.copy_(grads[2])


def _attend(value, shapes, starts, locations, attention) -> Tensor:
    batch, keys, heads, depth = value.shape
    queries = locations.shape[1]
    size = shapes.flip(1)[:, None]  # (levels, 1, 2): width and height
    at = locations * size - 0.5  # in pixels, 0 at the centre of the first
    corner = at.detach().floor()
    part = at - corner
    near = corner.long()
    # A tap outside the map counts as zero.
    x, width_x, inside_x = _taps(near[..., 0], part[..., 0], size[..., 0])
    y, width_y, inside_y = _taps(near[..., 1], part[..., 1], size[..., 1])
    key = starts[:, None, None, None] + y[..., :, None] * size[..., 0, None, None] + x[..., None, :]
    weight = width_y[..., :, None] * width_x[..., None, :] * attention[..., None, None]
    weight = weight * (inside_y[..., :, None] & inside_x[..., None, :])
    image = torch.arange(batch, device=value.device).view(-1, 1, 1, 1, 1, 1, 1)
    head = torch.arange(heads, device=value.device).view(-1, 1, 1, 1, 1)
    row = (image * keys + key) * heads + head
    sums = weighted_gather(
        value.reshape(-1, depth),
        row.reshape(batch * queries * heads, -1),
        weight.reshape(batch * queries * heads, -1),
    )
    return sums.view(batch, queries, heads * depth)


def _taps(near: Tensor, part: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels beside a point on one axis: (..., 2) where, weight, whether in the map."""
    where = torch.stack([near, near + 1], dim=-1)
    weight = torch.stack([1 - part, part], dim=-1)
    inside = (where >= 0) & (where < size[..., None])
    return where * inside, weight, inside
