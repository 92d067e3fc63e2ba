"""Ops that rearrange or normalise maps, against loops or torch's own layers."""

import copy

import pytest
import torch
from mmcv.ops import CARAFE, CARAFENaive, CARAFEPack, MaskedConv2d, PSAMask, SyncBatchNorm
from torch import nn
from torch.autograd import gradcheck


def test_masked_conv_is_the_convolution_where_the_mask_is_set(device):
    layer = MaskedConv2d(3, 5, 3, padding=1).to(device).double()
    input = torch.randn(1, 3, 7, 6, dtype=torch.float64, device=device)
    mask = torch.rand(1, 7, 6, device=device) > 0.5
    whole = nn.Conv2d.forward(layer, input)
    out = layer(input, mask)
    torch.testing.assert_close(out, whole * mask[:, None])
    assert not layer(input, torch.zeros_like(mask)).any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_masked_conv_in_few_bits(device, dtype):
    layer = MaskedConv2d(3, 5, 3, padding=1).to(device, dtype)
    input = torch.randn(1, 3, 7, 6, device=device, dtype=dtype)
    mask = torch.ones(1, 7, 6, device=device)
    out = layer(input, mask)
    assert out.dtype == dtype
    torch.testing.assert_close(out, nn.Conv2d.forward(layer, input), rtol=0.05, atol=0.05)


def naive_carafe(features, masks, kernel, groups, scale):
    batch, channels, height, width = features.shape
    out = features.new_zeros(batch, channels, height * scale, width * scale)
    for n in range(batch):
        for c in range(channels):
            group = c // (channels // groups)
            for i in range(height * scale):
                for j in range(width * scale):
                    for t in range(kernel * kernel):
                        y = i // scale + t // kernel - kernel // 2
                        x = j // scale + t % kernel - kernel // 2
                        if 0 <= y < height and 0 <= x < width:
                            factor = masks[n, group * kernel * kernel + t, i, j]
                            out[n, c, i, j] += factor * features[n, c, y, x]
    return out


@pytest.mark.parametrize('layer', [CARAFE, CARAFENaive])
def test_carafe(device, layer):
    features = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    masks = torch.randn(2, 18, 6, 8, dtype=torch.float64)
    out = layer(3, 2, 2)(features.to(device), masks.to(device))
    torch.testing.assert_close(out.cpu(), naive_carafe(features, masks, 3, 2, 2))
    if layer is CARAFENaive and device == 'cpu':
        return  # mmcv's own wrapper asks for a GPU in its backward
    inputs = [t.to(device).requires_grad_() for t in (features, masks)]
    assert gradcheck(layer(3, 2, 2), inputs, nondet_tol=1e-9, fast_mode=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_carafe_in_few_bits(device, dtype):
    layer = CARAFEPack(8, 2).to(device, dtype)
    input = torch.randn(1, 8, 5, 6, device=device, dtype=dtype, requires_grad=True)
    out = layer(input)
    out.sum().backward()
    assert out.shape == (1, 8, 10, 12) and out.dtype == input.grad.dtype == dtype


def naive_psa_mask(input, kind, mask_size):
    batch, _, height, width = input.shape
    out = input.new_zeros(batch, height * width, height, width)
    half = [(size - 1) // 2 for size in mask_size]
    for h in range(height):
        for w in range(width):
            for y in range(mask_size[0]):
                for x in range(mask_size[1]):
                    i, j = y + h - half[0], x + w - half[1]
                    if 0 <= i < height and 0 <= j < width:
                        value = input[:, y * mask_size[1] + x, h, w]
                        if kind == 'collect':
                            out[:, i * width + j, h, w] = value
                        else:
                            out[:, h * width + w, i, j] = value
    return out


@pytest.mark.parametrize('kind', ['collect', 'distribute'])
@pytest.mark.parametrize('mask_size', [(3, 5), (9, 7)])
def test_psa_mask(device, kind, mask_size):
    input = torch.randn(2, mask_size[0] * mask_size[1], 5, 4, dtype=torch.float64)
    layer = PSAMask(kind, mask_size)
    out = layer(input.to(device))
    torch.testing.assert_close(out.cpu(), naive_psa_mask(input, kind, mask_size))
    assert gradcheck(layer, input.to(device).requires_grad_(), fast_mode=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_psa_mask_in_few_bits(device, dtype):
    input = torch.randn(1, 9, 4, 4, device=device, dtype=dtype, requires_grad=True)
    out = PSAMask('collect', (3, 3))(input)
    out.sum().backward()
    assert out.dtype == input.grad.dtype == dtype


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.usefixtures('one_process')
def test_sync_bn_is_batch_norm_with_one_process(device, dtype):
    if device == 'cuda':
        pytest.skip('one gloo group does not reduce GPU tensors')
    ours = SyncBatchNorm(3).to(device)
    nn.init.uniform_(ours.weight)
    theirs = nn.BatchNorm2d(3).to(device)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()), strict=False)
    input = torch.randn(4, 3, 5, 6, device=device)
    mine, other = (input.clone().to(t).requires_grad_() for t in (dtype, torch.float32))
    out, expected = ours(mine), theirs(other)
    grad = torch.randn_like(input)
    out.backward(grad.to(dtype))
    expected.backward(grad)
    tolerance = {} if dtype == torch.float32 else dict(rtol=0.02, atol=0.02)
    torch.testing.assert_close(out.float(), expected, **tolerance)
    torch.testing.assert_close(mine.grad.float(), other.grad, **tolerance)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, **tolerance)
    torch.testing.assert_close(ours.running_var, theirs.running_var, **tolerance)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, **tolerance)
