"""RoI pooling against loops over bins, samples and pixels."""

import math

import pytest
import torch
from mmcv.ops import DeformRoIPoolPack, deform_roi_pool, roi_align, roi_pool
from torch.autograd import gradcheck

ROIS = torch.tensor(
    [
        [0, 1.3, 2.1, 14.2, 11.7],
        [1, -3.0, -2.0, 6.5, 30.0],  # over the edges
        [0, 4.0, 4.0, 4.6, 4.3],  # smaller than a pixel
        [1, 30.0, 30.0, 40.0, 44.0],  # outside
    ],
    dtype=torch.float64,
)
SCALE = 0.5


def maps(dtype=torch.float64):
    return torch.randn(2, 3, 9, 8, dtype=dtype)


def bilinear(plane, y, x):
    """RoIAlign's rule: within a pixel of the map counts as on its edge, beyond as zero."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return None
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    top = plane[y0, x0] * (1 - (x - x0)) + plane[y0, x1] * (x - x0)
    bottom = plane[y1, x0] * (1 - (x - x0)) + plane[y1, x1] * (x - x0)
    return top * (1 - (y - y0)) + bottom * (y - y0)


def naive_roi_align(input, rois, size, ratio, mode, aligned, shift=None):
    """``shift(k, i, j)`` moves bin (i, j) of RoI k by (y, x) pixels."""
    out = input.new_zeros(len(rois), input.shape[1], *size)
    for k, (image, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (c * SCALE - (0.5 if aligned else 0) for c in corners)
        tall, wide = y2 - y1, x2 - x1
        if not aligned:
            tall, wide = max(tall, 1), max(wide, 1)
        bin_y, bin_x = tall / size[0], wide / size[1]
        grid_y, grid_x = (ratio or math.ceil(b) for b in (bin_y, bin_x))
        for c, plane in enumerate(input[int(image)]):
            for i in range(size[0]):
                for j in range(size[1]):
                    dy, dx = shift(k, i, j) if shift else (0, 0)
                    samples = [
                        bilinear(
                            plane,
                            y1 + dy + (i + (p + 0.5) / grid_y) * bin_y,
                            x1 + dx + (j + (q + 0.5) / grid_x) * bin_x,
                        )
                        for p in range(grid_y)
                        for q in range(grid_x)
                    ]
                    values = [0.0 if s is None else float(s) for s in samples] or [0.0]
                    pooled = max(values) if mode == 'max' else sum(values) / len(values)
                    out[k, c, i, j] = pooled
    return out


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align(device, mode, aligned, ratio):
    input = maps()
    out = roi_align(input.to(device), ROIS.to(device), (3, 2), SCALE, ratio, mode, aligned)
    expected = naive_roi_align(input, ROIS, (3, 2), ratio, mode, aligned)
    torch.testing.assert_close(out.cpu(), expected)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_gradient(device, mode, ratio):
    input, rois = maps().to(device).requires_grad_(), ROIS.to(device)
    assert gradcheck(
        lambda x: roi_align(x, rois, (2, 2), SCALE, ratio, mode, True), input,
        nondet_tol=1e-9,
    )  # fmt: skip


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_align_in_few_bits(device, mode, dtype):
    input = maps(torch.float32).to(device, dtype).requires_grad_()
    rois = ROIS.to(device, dtype)
    out = roi_align(input, rois, (2, 2), SCALE, 0, mode, True)
    out.sum().backward()
    assert out.dtype == input.grad.dtype == dtype
    wide = input.detach().float().requires_grad_()
    expected = roi_align(wide, rois.float(), (2, 2), SCALE, 0, mode, True)
    expected.sum().backward()
    torch.testing.assert_close(out, expected.to(dtype))
    torch.testing.assert_close(input.grad, wide.grad.to(dtype))


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_roi_align_without_rois(device, mode):
    input = maps().to(device).requires_grad_()
    out = roi_align(input, input.new_zeros(0, 5), (2, 2), SCALE, 0, mode, True)
    out.sum().backward()
    assert out.shape == (0, 3, 2, 2) and not input.grad.any()


def test_roi_align_max_in_parts(monkeypatch):
    from vitmm.compat.mmcv_ops import roi_align as module

    input = maps()
    whole = roi_align(input, ROIS, (2, 2), SCALE, 2, 'max', True)
    monkeypatch.setattr(module, 'CHUNK', 1)
    assert torch.equal(whole, roi_align(input, ROIS, (2, 2), SCALE, 2, 'max', True))


def naive_roi_pool(input, rois, size):
    height, width = input.shape[2:]
    out = input.new_zeros(len(rois), input.shape[1], *size)
    for k, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = x1 * SCALE, y1 * SCALE, (x2 + 1) * SCALE, (y2 + 1) * SCALE
        bin_y, bin_x = (y2 - y1) / size[0], (x2 - x1) / size[1]
        for i in range(size[0]):
            top = min(max(math.floor(i * bin_y + y1), 0), height)
            bottom = min(max(math.ceil((i + 1) * bin_y + y1), 0), height)
            for j in range(size[1]):
                left = min(max(math.floor(j * bin_x + x1), 0), width)
                right = min(max(math.ceil((j + 1) * bin_x + x1), 0), width)
                if bottom > top and right > left:
                    part = input[int(image), :, top:bottom, left:right]
                    out[k, :, i, j] = part.amax((1, 2))
    return out


def test_roi_pool(device):
    input = maps()
    out = roi_pool(input.to(device), ROIS.to(device), (3, 2), SCALE)
    torch.testing.assert_close(out.cpu(), naive_roi_pool(input, ROIS, (3, 2)))
    upside_down = torch.tensor([[0.0, 8, 8, 2, 2]], dtype=torch.float64, device=device)
    assert not roi_pool(input.to(device), upside_down, (3, 2), SCALE).any()


def test_roi_pool_gradient(device):
    input, rois = maps().to(device).requires_grad_(), ROIS.to(device)
    assert gradcheck(lambda x: roi_pool(x, rois, (2, 2), SCALE), input, nondet_tol=1e-9)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_pool_in_few_bits(device, dtype):
    input = maps(torch.float32).to(device, dtype).requires_grad_()
    out = roi_pool(input, ROIS.to(device, dtype), (2, 2), SCALE)
    out.sum().backward()
    assert out.dtype == input.grad.dtype == dtype
    expected = naive_roi_pool(input.detach().cpu().double(), ROIS.to(dtype).double(), (2, 2))
    torch.testing.assert_close(out.cpu().double(), expected)


@pytest.mark.parametrize('ratio', [0, 2])
def test_deform_roi_pool(device, ratio):
    input, offset = maps(), torch.randn(4, 2, 3, 2, dtype=torch.float64)
    rois, gamma = ROIS, 0.1

    def shift(k, i, j):
        wide, tall = ((rois[k, [3, 4]] - rois[k, [1, 2]]) * SCALE).tolist()
        return gamma * tall * offset[k, 1, i, j].item(), gamma * wide * offset[k, 0, i, j].item()

    out = deform_roi_pool(
        input.to(device), rois.to(device), offset.to(device), (3, 2), SCALE, ratio, gamma
    )
    expected = naive_roi_align(input, rois, (3, 2), ratio, 'avg', True, shift)
    torch.testing.assert_close(out.cpu(), expected)


@pytest.mark.parametrize('ratio', [0, 2])
def test_deform_roi_pool_gradient(device, ratio):
    rois = ROIS[:1].to(device)  # inside, where the pooling is smooth in the offset
    input = maps().to(device).requires_grad_()
    offset = torch.randn(1, 2, 2, 2, dtype=torch.float64, device=device, requires_grad=True)
    assert gradcheck(
        lambda x, o: deform_roi_pool(x, rois, o, (2, 2), SCALE, ratio, 0.1), (input, offset),
        nondet_tol=1e-9,
    )  # fmt: skip


def test_deform_roi_pool_pack_trains(device):
    layer = DeformRoIPoolPack((2, 2), 3, deform_fc_channels=8, spatial_scale=SCALE).to(device)
    input = maps(torch.float32).to(device).requires_grad_()
    layer(input, ROIS.float().to(device)).sum().backward()
    assert input.grad.isfinite().all() and input.grad.any()
