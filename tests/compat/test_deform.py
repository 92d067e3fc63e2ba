"""Deformable convolution and attention against loops over taps and points."""

import pytest
import torch
from mmcv.ops import (
    DeformConv2dPack,
    ModulatedDeformConv2dPack,
    MultiScaleDeformableAttention,
    deform_conv2d,
    modulated_deform_conv2d,
)
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from torch.autograd import gradcheck

STRIDE, PADDING, DILATION = (2, 1), (1, 2), (1, 2)


def bilinear(plane, y, x):
    """Pixels outside count as zero."""
    height, width = plane.shape
    y0, x0 = int(y // 1), int(x // 1)
    total = 0.0
    for i in (y0, y0 + 1):
        for j in (x0, x0 + 1):
            if 0 <= i < height and 0 <= j < width:
                total += float(plane[i, j]) * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


def naive_deform_conv(input, offset, mask, weight, bias, groups, deform_groups):
    out_channels, in_group, kernel_h, kernel_w = weight.shape
    batch, channels = input.shape[:2]
    height, width = offset.shape[2:]
    out = input.new_zeros(batch, out_channels, height, width)
    taps = kernel_h * kernel_w
    for n in range(batch):
        for i in range(height):
            for j in range(width):
                columns = input.new_zeros(channels, taps)
                for c in range(channels):
                    g = c // (channels // deform_groups)
                    for t in range(taps):
                        dy, dx = offset[n, 2 * (g * taps + t) :, i, j][:2].tolist()
                        y = i * STRIDE[0] - PADDING[0] + t // kernel_w * DILATION[0] + dy
                        x = j * STRIDE[1] - PADDING[1] + t % kernel_w * DILATION[1] + dx
                        factor = 1 if mask is None else float(mask[n, g * taps + t, i, j])
                        columns[c, t] = factor * bilinear(input[n, c], y, x)
                for o in range(out_channels):
                    first = o // (out_channels // groups) * in_group
                    part = columns[first : first + in_group]
                    out[n, o, i, j] = (part * weight[o].flatten(1)).sum()
    return out if bias is None else out + bias[:, None, None]


def tensors(deform_groups, groups, device='cpu', batch=2):
    def random(*shape):
        return torch.randn(*shape, dtype=torch.float64).to(device).requires_grad_()

    taps = 3 * 2
    # An input of (6, 5) gives an output of (3, 7) with this geometry.
    return (
        random(batch, 4, 6, 5),
        random(batch, 2 * deform_groups * taps, 3, 7),
        random(batch, deform_groups * taps, 3, 7),
        random(4, 4 // groups, 3, 2),
        random(4),
    )


GROUPS = [(1, 1), (2, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize(('groups', 'deform_groups'), GROUPS)
def test_deform_conv(device, groups, deform_groups):
    input, offset, _, weight, _ = tensors(deform_groups, groups)
    out = deform_conv2d(
        input.to(device), offset.to(device), weight.to(device),
        STRIDE, PADDING, DILATION, groups, deform_groups, False, 1,
    )  # fmt: skip
    expected = naive_deform_conv(input, offset, None, weight, None, groups, deform_groups)
    torch.testing.assert_close(out.cpu(), expected)


@pytest.mark.parametrize('with_bias', [False, True])
@pytest.mark.parametrize(('groups', 'deform_groups'), GROUPS)
def test_modulated_deform_conv(device, groups, deform_groups, with_bias):
    input, offset, mask, weight, bias = tensors(deform_groups, groups)
    bias = bias if with_bias else None
    out = modulated_deform_conv2d(
        input.to(device), offset.to(device), mask.to(device), weight.to(device),
        bias.to(device) if with_bias else None,
        STRIDE, PADDING, DILATION, groups, deform_groups,
    )  # fmt: skip
    expected = naive_deform_conv(input, offset, mask, weight, bias, groups, deform_groups)
    torch.testing.assert_close(out.cpu(), expected)


def test_deform_conv_gradient(device):
    input, offset, _, weight, _ = tensors(2, 2, device, batch=1)
    assert gradcheck(
        lambda i, o, w: deform_conv2d(i, o, w, STRIDE, PADDING, DILATION, 2, 2),
        (input, offset, weight), nondet_tol=1e-9, fast_mode=True,
    )  # fmt: skip


def test_modulated_deform_conv_gradient(device):
    inputs = tensors(2, 2, device, batch=1)
    assert gradcheck(
        lambda *t: modulated_deform_conv2d(*t, STRIDE, PADDING, DILATION, 2, 2),
        inputs, nondet_tol=1e-9, fast_mode=True,
    )  # fmt: skip


def test_deform_conv_gradient_of_the_weight_is_never_that_of_another_pass():
    """It is computed with the input's gradient and handed over; here each is asked for alone."""
    input, offset, _, weight, _ = tensors(1, 1)
    out = deform_conv2d(input, offset, weight, STRIDE, PADDING, DILATION)
    first, second = torch.randn_like(out), torch.randn_like(out)
    whole = torch.autograd.grad(out, weight, second, retain_graph=True)[0]
    torch.autograd.grad(out, input, first, retain_graph=True)
    alone = torch.autograd.grad(out, weight, second, retain_graph=True)[0]
    both = torch.autograd.grad(out, [input, weight], second)[1]
    torch.testing.assert_close(alone, whole)
    torch.testing.assert_close(both, whole)


def test_modulated_deform_conv_reads_the_start_of_larger_offsets(device):
    """mmcv's kernel does, and mmdet's DyHead is trained with it."""
    input, offset, mask, weight, bias = tensors(1, 1, device)
    pad = torch.zeros(2, 50, dtype=torch.float64, device=device)

    def larger(maps, height, width):
        flat = torch.cat([maps.flatten(1), pad.repeat(1, maps.shape[1])], dim=1)
        return flat[:, : maps.shape[1] * height * width].view(2, -1, height, width)

    big_offset = larger(offset.detach(), 5, 8).requires_grad_()
    big_mask = larger(mask.detach(), 5, 8).requires_grad_()
    expected = modulated_deform_conv2d(input, offset, mask, weight, bias, STRIDE, PADDING, DILATION)
    out = modulated_deform_conv2d(
        input, big_offset, big_mask, weight, bias, STRIDE, PADDING, DILATION
    )
    torch.testing.assert_close(out, expected)
    grad = torch.randn_like(out)
    grads = torch.autograd.grad(expected, [offset, mask], grad)
    bigs = torch.autograd.grad(out, [big_offset, big_mask], grad)
    for small, big in zip(grads, bigs, strict=True):
        count = small[0].numel()
        torch.testing.assert_close(big.flatten(1)[:, :count], small.flatten(1))
        assert not big.flatten(1)[:, count:].any()
    with pytest.raises(ValueError, match='smaller than the output'):
        modulated_deform_conv2d(
            input, offset[..., :2], mask, weight, bias, STRIDE, PADDING, DILATION
        )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('layer_type', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_deform_conv_layers_in_few_bits(device, layer_type, dtype):
    layer = layer_type(4, 6, 3, padding=1).to(device)
    # Not at the kink of the bilinear interpolation, which few bits could round to either side.
    torch.nn.init.constant_(layer.conv_offset.bias, 0.25)
    input = torch.randn(2, 4, 7, 8, device=device)
    expected = layer(input)
    few = input.to(dtype).requires_grad_()
    out = layer.to(dtype)(few)
    out.sum().backward()
    assert out.dtype == few.grad.dtype == layer.weight.grad.dtype == dtype
    torch.testing.assert_close(out.float(), expected, rtol=0.1, atol=0.1)


SHAPES = torch.tensor([[5, 4], [3, 2]])
STARTS = torch.tensor([0, 20])


def attention_inputs(device, dtype=torch.float64):
    value = torch.randn(2, 26, 3, 4, dtype=dtype)
    # A part of the points lies outside of the maps.
    locations = torch.rand(2, 7, 3, 2, 2, 2, dtype=dtype) * 1.4 - 0.2
    weights = torch.rand(2, 7, 3, 2, 2, dtype=dtype)
    return [t.to(device).requires_grad_() for t in (value, locations, weights)]


def attend(value, locations, weights):
    device = value.device
    return MultiScaleDeformableAttnFunction.apply(
        value, SHAPES.to(device), STARTS.to(device), locations, weights, 64
    )


def naive_attention(value, locations, weights):
    batch, _, heads, depth = value.shape
    out = value.new_zeros(batch, locations.shape[1], heads, depth)
    for n in range(batch):
        for q in range(locations.shape[1]):
            for h in range(heads):
                for level, (height, width) in enumerate(SHAPES.tolist()):
                    start = int(STARTS[level])
                    keys = value[n, start : start + height * width, h].view(height, width, depth)
                    for p in range(locations.shape[4]):
                        x, y = locations[n, q, h, level, p].tolist()
                        for d in range(depth):
                            sample = bilinear(keys[..., d], y * height - 0.5, x * width - 0.5)
                            out[n, q, h, d] += weights[n, q, h, level, p] * sample
    return out.flatten(2)


def test_deformable_attention(device):
    value, locations, weights = (t.detach() for t in attention_inputs('cpu'))
    out = attend(value.to(device), locations.to(device), weights.to(device))
    torch.testing.assert_close(out.cpu(), naive_attention(value, locations, weights))
    by_mmcv = multi_scale_deformable_attn_pytorch(value, SHAPES, locations, weights)
    torch.testing.assert_close(out.cpu(), by_mmcv)


def test_deformable_attention_gradient(device):
    assert gradcheck(attend, attention_inputs(device), nondet_tol=1e-9, fast_mode=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_deformable_attention_in_few_bits(device, dtype):
    inputs = attention_inputs(device, dtype)
    out = attend(*inputs)
    out.sum().backward()
    wide = [t.detach().float().requires_grad_() for t in inputs]
    expected = attend(*wide)
    expected.sum().backward()
    torch.testing.assert_close(out, expected.to(dtype))
    for few, full in zip(inputs, wide, strict=True):
        torch.testing.assert_close(few.grad, full.grad.to(dtype))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_points_of_deformable_attention_are_not_rounded(device, dtype):
    """Under autocast the values alone have few bits; mmcv takes the points to them."""
    shapes, starts = torch.tensor([[100, 168]]), torch.tensor([0])
    value = (torch.arange(168.0) % 2).expand(100, 168).reshape(1, -1, 1, 1)  # stripes
    points, weights = torch.rand(1, 50, 1, 1, 1, 2) * 0.9 + 0.05, torch.ones(1, 50, 1, 1, 1)
    few = value.to(dtype)
    expected = multi_scale_deformable_attn_pytorch(few.float(), shapes, points, weights)
    inputs = [few.to(device).requires_grad_(), points.to(device), weights.to(device)]
    out = MultiScaleDeformableAttnFunction.apply(
        inputs[0], shapes.to(device), starts.to(device), *inputs[1:], 64
    )
    assert out.dtype == dtype
    torch.testing.assert_close(out.cpu(), expected.to(dtype))
    out.sum().backward()
    assert inputs[0].grad.dtype == dtype


def test_deformable_attention_layer_same_on_both_paths(device):
    """mmcv uses its own PyTorch version on the CPU and the extension on the GPU."""
    layer = MultiScaleDeformableAttention(16, num_heads=2, num_levels=2, num_points=2).eval()
    query, value = torch.randn(7, 2, 16), torch.randn(26, 2, 16)
    points = torch.rand(2, 7, 2, 2)
    arguments = dict(
        query=query, value=value, reference_points=points, spatial_shapes=SHAPES,
        level_start_index=STARTS,
    )  # fmt: skip
    expected = layer(**arguments)
    out = layer.to(device)(**{name: t.to(device) for name, t in arguments.items()})
    torch.testing.assert_close(out.cpu(), expected, rtol=1e-4, atol=1e-5)
