"""Where cells of maps land on pictures."""

import numpy as np
import pytest
import torch
from PIL import ImageFont
from torch import nn

from vitmm.inference.inputs import Item, Media
from vitmm.models.backbones.timm_backbone import TimmBackbone
from vitmm.visualization.boards import Boards
from vitmm.visualization.fonts import font
from vitmm.visualization.lettering import wrap
from vitmm.visualization.looking import Looker
from vitmm.visualization.opening import open_model
from vitmm.visualization.panels import _TEXT, board, boxed, heat, outlined, overlay, spread
from vitmm.visualization.placing import Layout, Placing, pitch_of


@pytest.mark.parametrize('pitch', [(16, 16), (14, 14), (8, 4), (7.5, 16)])
def test_cells_cover_their_pixels(pitch):
    values = np.arange(12).reshape(3, 4)
    found = spread(values, pitch, (30, 40))
    for y in range(30):
        for x in range(40):
            row, column = int((y + 0.5) / pitch[0]), int((x + 0.5) / pitch[1])
            assert found[y, x] == values[min(row, 2), min(column, 3)]


def test_smooth_maps_have_their_values_in_the_middles_of_cells():
    values = np.random.default_rng(0).random((4, 5))
    found = spread(values, (9, 9), (36, 45), smooth=True)  # odd, so that a pixel is the middle
    np.testing.assert_allclose(found[4::9, 4::9], values, atol=1e-6)
    whole = nn.functional.interpolate(
        torch.tensor(values)[None, None], scale_factor=9, mode='bilinear', align_corners=False
    )
    np.testing.assert_allclose(found, whole[0, 0], atol=0.02)  # OpenCV interpolates in 1/32
    colours = spread(np.stack([values] * 3, -1), (9, 9), (36, 45))
    assert colours.shape == (36, 45, 3)


@pytest.mark.parametrize(
    ('size', 'grid', 'expected'),
    [
        ((64, 96), (4, 6), (16, 16)),
        ((70, 90), (5, 6), (16, 16)),
        ((200, 264), (13, 17), (16, 16)),
        ((60, 90), (9, 9), (60 / 9, 10)),  # of no stride
    ],
)
def test_pitch_is_the_stride(size, grid, expected):
    assert pitch_of(size, grid) == expected


def test_patches_of_14():
    backbone = TimmBackbone('vit_small_patch14_dinov2', model_kwargs=dict(depth=1, embed_dim=12))
    for size in ((70, 98), (60, 90)):  # 16 would fit, too
        placing = Placing.of(backbone, size)
        assert placing.lift(torch.zeros(1, 3, 5, 7))[1] == (14, 14)


def test_layouts_hold_the_same_cells():
    placing = Placing((70, 90), (80, 96), prefix=1, class_token=True)
    cells = torch.arange(3.0 * 30).reshape(1, 3, 5, 6)
    nhwc, tokens = cells.permute(0, 2, 3, 1), cells.flatten(2).mT
    tokens = torch.cat([torch.zeros(1, 1, 3), tokens], 1)
    for tensor, order in ((cells, 'NCHW'), (nhwc, 'NHWC'), (tokens, 'NLC')):
        layout = next(placing.layouts(tensor.shape))
        assert layout == Layout(order, (5, 6), int(order == 'NLC'))
        assert torch.equal(layout.apply(tensor), cells)
    assert not list(placing.layouts(torch.Size([4, 9, 3])))  # windows
    assert placing.lift(cells)[1] == (16, 16)


@pytest.mark.parametrize('shape', [(90, 210), (210, 90)])
def test_a_bright_square_lies_under_its_cells(shape, tiny_shapes):
    """Through keep-ratio resizing, padding, the map, and back onto the picture."""
    options = {
        'data_root': str(tiny_shapes),
        'prepare_data': None,
        'model.backbone.model_name': 'test_resnet',
        'image_scale': (150, 150),
        'env_cfg.mp_cfg': {},
    }
    predictor, _ = open_model('configs/det/vit_retinanet.py', options=options, device='cpu')
    image = np.zeros((*shape, 3), np.uint8)
    image[42:63, 63:84] = 255  # resized by 5/7: rows 30 to 45, columns 45 to 60
    item = Item(Media('a', 'a', 'a'), None, image)
    ((_, data),) = predictor.prepare([item])

    class Means(nn.Module):
        def forward(self, x):
            return (nn.functional.avg_pool2d(x - x.min(), 5, ceil_mode=True),)

    predictor.model.backbone = Means()
    predictor.model.extract_feat = lambda images: predictor.model.backbone(images)
    seen = Looker(predictor).look(data)
    height, width = (round(side * 5 / 7) for side in shape)
    assert seen.picture.shape == (height, width, 3)
    assert max(height, width) == 150  # and the network's input is padded to 160
    boards = Boards(None, side=300)
    laid = boards._spread(seen, seen.levels[0][1].norm(dim=0), (5, 5))
    assert laid.shape == (2 * height, 2 * width)
    ys, xs = np.nonzero(laid > 0.9 * laid.max())
    assert (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1) == (60, 90, 90, 120)
    bright = boards._scaled(seen.picture)[..., 0] > 127
    ys, xs = np.nonzero(bright)
    np.testing.assert_allclose((ys.min(), ys.max() + 1, xs.min(), xs.max() + 1),
                               (60, 90, 90, 120), atol=2)  # fmt: skip


def test_overlay_leaves_what_is_low():
    picture = np.full((4, 4, 3), 100, np.uint8)
    values = np.zeros((4, 4))
    values[0] = 1
    assert np.array_equal(overlay(picture, values, 0), picture)
    found = overlay(picture, values, 1).astype(int)
    assert np.array_equal(found[0], heat(values, 20)[0])  # OpenCV's TURBO
    low = heat(values, 20)[1].astype(float)
    np.testing.assert_allclose(found[1], 100 * 2 / 3 + low / 3, atol=0.51)


def test_boxes_and_outlines_are_in_the_pixels_of_the_picture():
    black = np.zeros((40, 60, 3), np.uint8)
    drawn = boxed(black, np.array([[5, 5, 20, 15]]), 2)
    ys, xs = np.nonzero(drawn[..., 0] > 200)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (10, 30, 10, 40)
    assert not drawn[12:29, 12:39].any()
    region = np.zeros((20, 30), bool)
    region[5:10, 10:20] = True
    drawn = outlined(black, region)
    assert drawn[10, 20:39].any(axis=1).all() and not drawn[15, 30].any()


def test_captions_are_wrapped_and_nothing_is_cut_off():
    text = 'attention of blocks.11.attn with_a_very_long_name_that_no_line_can_hold and more'
    letters = font(_TEXT)
    assert isinstance(letters, ImageFont.FreeTypeFont)
    lines = wrap(text, letters, 120)
    assert ''.join(lines).replace(' ', '') == text.replace(' ', '')
    assert all(letters.getlength(line) <= 120 for line in lines)
    small, large = np.zeros((20, 120, 3), np.uint8), np.full((50, 150, 3), 7, np.uint8)
    found = board([[(small, text), (large, 'x')], [(large, 'y')]], 'a title')
    tall = np.flatnonzero((found == 7).all(-1).sum(1) >= 150)
    assert len(tall) == 2 * 50  # each in a row of its own
    assert (found == 0).all(-1).sum() >= 20 * 120
    assert (found[:, [0, -1]] == 255).all() and (found[[0, -1]] == 255).all()


@pytest.mark.parametrize('width', [1, 8, 300])
def test_words_have_room_over_a_narrow_picture(width):
    picture = np.zeros((90, width, 3), np.uint8)
    drawn = board([[(picture, 'as the network sees it')]], 'a long name of a file.jpg')
    assert (drawn == 0).all(2).sum() >= picture[..., 0].size
    assert drawn.shape[1] == max(150, width) + 10
    assert drawn.shape[0] < 200  # three lines of words at most
