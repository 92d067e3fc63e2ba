import math

import pytest
import timm
import torch

from vitmm.models import TimmBackbone
from vitmm.models.backbones.canvas import Canvas

TILED = 'test_vit_relpos'  # small, and its grid cannot move


def test_tiles_run_as_a_batch_and_their_maps_are_stitched():
    torch.manual_seed(0)
    backbone = TimmBackbone(TILED, out_indices=(-1,)).eval()
    side = backbone.canvas.native[0]
    images = torch.randn(2, 3, side + 40, 2 * side - 1)
    with torch.no_grad():
        (whole,) = backbone(images)
        padded = torch.zeros(2, 3, 2 * side, 2 * side)
        padded[..., : side + 40, : 2 * side - 1] = images
        rows = [
            torch.cat(
                [
                    backbone(padded[..., y : y + side, x : x + side].contiguous())[0]
                    for x in (0, side)
                ],
                dim=-1,
            )
            for y in (0, side)
        ]
    expected = torch.cat(rows, dim=-2)[..., : whole.shape[-2], : whole.shape[-1]]
    assert whole.shape[-2:] == (math.ceil((side + 40) / 16), math.ceil((2 * side - 1) / 16))
    torch.testing.assert_close(whole, expected, atol=1e-5, rtol=1e-5)


def test_the_tile_is_as_large_as_img_size_says():
    backbone = TimmBackbone(TILED, model_kwargs=dict(img_size=64)).eval()
    assert backbone.canvas.native == (64, 64)
    assert backbone.canvas.policy == 'tiles'
    assert backbone(torch.randn(1, 3, 50, 70))[0].shape[-2:] == (4, 5)


def test_lay_and_lift_give_every_pixel_back():
    # A model that hands its image on: the stride is 1, and stitching undoes cutting.
    images = torch.randn(2, 3, 30, 47)
    for canvas in (
        Canvas((8, 12), (8, 12), (8, 12), tiled=True),
        Canvas((8, 12), (8, 12), (8, 12)),
        Canvas((8, 8), (5, 7), (40, 40)),
        Canvas((30, 47), (32, 32), (32, 32)),
    ):
        (back,) = canvas.lift([canvas.lay(images)], [1], (30, 47))
        assert torch.equal(back, images)


def test_cells_lost_at_the_borders_are_repeated_all_round():
    canvas = Canvas((8, 8))
    inner = torch.arange(36.0).reshape(1, 1, 6, 6)
    (grown,) = canvas.lift([inner], [1], (9, 8))
    assert grown.shape[-2:] == (9, 8)
    assert torch.equal(grown[..., 1:7, 1:7], inner)
    assert torch.equal(grown[..., 8, 1:7], inner[..., 5, :])


def test_maps_of_tiles_that_do_not_divide_are_brought_to_the_pitch():
    canvas = Canvas((12, 12), (12, 12), (12, 12), tiled=True)
    ramp = torch.linspace(0, 1, 6).expand(1, 1, 6, 6)  # 6 cells a tile of 12: pitch 2, not 2.4
    (wide,) = canvas.lift([torch.cat([ramp, ramp + 1])], [2.4], (12, 24))
    assert wide.shape[-2:] == (5, 10)
    assert torch.all(wide.diff(dim=-1) >= 0)


@pytest.mark.parametrize(
    ('name', 'policy'),
    [
        ('resnet18', 'any'),
        ('convnext_atto', 'cells'),
        ('vit_tiny_patch16_224', 'cells'),
        ('maxvit_rmlp_pico_rw_256', 'natives'),
        (TILED, 'tiles'),
        ('mvitv2_tiny', 'tiles'),  # whose tables of positions end at the native size
        ('samvit_base_patch16_224', 'cells'),  # whose tables are resized
    ],
)
def test_policies(name, policy):
    assert TimmBackbone(name).canvas.policy == policy


def test_places_outside_a_table_are_not_looked_up():
    backbone = TimmBackbone('mvitv2_tiny').eval()
    with torch.no_grad():  # on the meta device, where there are no values, all sizes seem to do
        maps = backbone(torch.randn(1, 3, 230, 320))
    assert [tuple(m.shape[-2:]) for m in maps] == [(58, 80), (29, 40), (15, 20), (8, 10)]


def test_nor_where_features_are_pooled():
    backbone = TimmBackbone('mvitv2_tiny', output='pooled').eval()
    with torch.no_grad():
        (features,) = backbone(torch.randn(1, 3, 230, 320))
    assert features.shape == (1, *backbone.channels)


def test_patches_that_do_not_divide_the_native_size():
    # vit_so400m_patch14_siglip_384 is such a model: 27 patches of 14 a side cover 378 pixels.
    torch.manual_seed(0)
    kwargs = dict(img_size=170, depth=2)
    backbone = TimmBackbone('vit_tiny_patch16_224', model_kwargs=kwargs, out_indices=(-1,)).eval()
    whole = timm.create_model('vit_tiny_patch16_224', **kwargs).eval()
    missing = whole.load_state_dict(backbone.model.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert backbone.canvas.native == (160, 160)
    images = torch.randn(1, 3, 170, 170)
    with torch.no_grad():
        (theirs,) = whole.forward_intermediates(images, indices=1, intermediates_only=True)
        torch.testing.assert_close(backbone(images[..., :160, :160])[0], theirs)
        assert backbone(images)[0].shape[-2:] == (11, 11)


def test_true_strides_where_timms_description_errs():
    # The stem folds 4 x 4 pixels; feature_info says 2.
    backbone = TimmBackbone('tresnet_m', out_indices=(0,))
    assert timm.create_model('tresnet_m').feature_info[0]['reduction'] == 2
    assert backbone.strides == (4,)
    assert backbone(torch.randn(1, 3, 64, 64))[0].shape[-2:] == (16, 16)


def test_pooled_features_of_a_fixed_grid_are_those_of_the_resized_image():
    backbone = TimmBackbone(TILED, output='pooled').eval()
    side = backbone.canvas.native[0]
    small = torch.randn(1, 3, side // 2, side // 2)
    large = torch.nn.functional.interpolate(
        small, (side, side), mode='bilinear', align_corners=False, antialias=True
    )
    with torch.no_grad():
        torch.testing.assert_close(backbone(small)[0], backbone(large)[0])
