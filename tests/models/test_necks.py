import math

import pytest
import torch
from torch.nn import functional as F

from vitmm.errors import ConfigError
from vitmm.models import FeaturePyramid, MapNorm, SimpleFPN, UNetDecoder
from vitmm.models.feature_maps import FeatureMaps

SIZES = [(224, 224), (224, 352), (250, 333), (64, 31)]


def maps_of(size, channels, strides):
    return FeatureMaps(
        [
            torch.randn(2, c, math.ceil(size[0] / s), math.ceil(size[1] / s))
            for c, s in zip(channels, strides, strict=True)
        ],
        size,
    )


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(
    'strides', [(4, 8, 16, 32), (16,) * 4, (14,) * 4, (8, 8, 16, 32), (32,) * 4, (12, 12, 12, 17)]
)
def test_every_stride_comes_out_at_its_size(size, strides):
    channels = (8, 12, 16, 20)
    outs = FeaturePyramid(channels, strides)(maps_of(size, channels, strides))
    for out, c, s in zip(outs, channels, (4, 8, 16, 32), strict=True):
        assert out.shape == (2, c, math.ceil(size[0] / s), math.ceil(size[1] / s))


def test_a_pyramid_passes_through_without_parameters():
    neck = FeaturePyramid((8, 12, 16, 20), (4, 8, 16, 32))
    assert not list(neck.parameters())
    maps = maps_of((64, 96), (8, 12, 16, 20), (4, 8, 16, 32))
    for a, b in zip(neck(maps), maps, strict=True):
        assert torch.equal(a, b)


def test_upsampling_is_the_transposed_convolution_and_pooling_the_maximum():
    neck = FeaturePyramid((4,) * 4, (16,) * 4)
    maps = maps_of((64, 64), (4,) * 4, (16,) * 4)
    outs = neck(maps)
    twice = neck.levels[1].layers[0]
    n, c, h, w = maps[1].shape
    # Kernel and stride 2: every cell becomes a 2 x 2 block of its own, a product with the kernel.
    block = torch.einsum('nchw,cdij->ndhiwj', maps[1], twice.weight).reshape(n, c, 2 * h, 2 * w)
    torch.testing.assert_close(outs[1], block + twice.bias[:, None, None])
    assert torch.equal(outs[2], maps[2])
    torch.testing.assert_close(outs[3], F.max_pool2d(maps[3], 2))


def test_odd_strides_keep_cells_in_their_place():
    # A map whose value is the x coordinate of its cell's centre keeps telling it at any stride.
    for stride, out_stride in ((14, 16), (12, 16), (14, 32), (17, 16)):
        neck = FeaturePyramid((1,), (stride,), (out_stride,))
        size = (stride * 20, stride * 20)
        x = (torch.arange(20) + 0.5) * stride
        out = neck(FeatureMaps([x.expand(1, 1, 20, 20).clone()], size))[0][0, 0, 3]
        centres = (torch.arange(out.numel()) + 0.5) * out_stride
        inside = slice(2, out.numel() - 2)
        # Max pooling tells its window's last cell, half an input cell further on.
        shift = stride / 2 if out_stride / stride > 1.5 else 0
        torch.testing.assert_close(
            out[inside], centres[inside] + shift, atol=0.1, rtol=0, msg=f'{stride}->{out_stride}'
        )


def test_simple_fpn_levels():
    neck = SimpleFPN(64, 16, out_channels=32)
    outs = neck(maps_of((250, 333), (64,), (16,)))
    strides = (4, 8, 16, 32, 64)
    assert [o.shape for o in outs] == [
        (2, 32, math.ceil(250 / s), math.ceil(333 / s)) for s in strides
    ]
    # ViTDet: 64 -> 32 -> 16 channels on the way to stride 4
    assert [level.out_channels for level in neck.resample] == [16, 32, 64, 64]
    sum(o.mean() for o in outs).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_maps_without_a_size_are_taken_as_whole_cells():
    outs = FeaturePyramid((4,), (16,), (8,))((torch.randn(1, 4, 3, 5),))
    assert outs[0].shape == (1, 4, 6, 10)


def test_lengths_must_agree():
    with pytest.raises(ConfigError, match='out_strides'):
        FeaturePyramid((4, 4), (16, 16))


def test_unet_decodes_to_the_finest_map():
    channels, size = (8, 12, 16, 20), (250, 333)
    neck = UNetDecoder(channels, channels=4)
    (out,) = neck(maps_of(size, channels, (4, 8, 16, 32)))
    assert out.shape == (2, 4, math.ceil(250 / 4), math.ceil(333 / 4))
    widths = [level[0].conv.weight.shape[:2] for level in neck.levels]
    assert widths == [(4, 8 + 8), (8, 16 + 12), (16, 20 + 16)]
    out.square().mean().backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_unet_without_its_coarse_maps_is_a_function_of_the_finest():
    # Weights of zero for what comes from below: the finest map alone decides.
    neck = UNetDecoder((3, 5), channels=4).eval()
    with torch.no_grad():
        neck.levels[0][0].conv.weight[:, :5] = 0
    fine = torch.randn(2, 3, 9, 7)
    outs = [neck((fine, torch.randn(2, 5, 5, 4)))[0] for _ in range(2)]
    assert torch.equal(*outs)
    x = fine
    for block, weight in zip(
        neck.levels[0], (neck.levels[0][0].conv.weight[:, 5:], None), strict=True
    ):
        x = F.conv2d(x, block.conv.weight if weight is None else weight, padding=1)
        x = F.relu(x / (1 + block.bn.eps) ** 0.5)
    torch.testing.assert_close(outs[0], x)


def test_map_norm_standardises_every_channel_over_the_batch():
    maps = maps_of((64, 96), (8, 12), (8, 16))
    neck = MapNorm((8, 12))
    for out, m in zip(neck([5 + 3 * m for m in maps]), maps, strict=True):
        flat = out.transpose(0, 1).flatten(1)
        torch.testing.assert_close(flat.mean(1), torch.zeros(len(flat)), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            flat.var(1, unbiased=False), torch.ones(len(flat)), atol=1e-3, rtol=0
        )
        assert out.shape == m.shape
