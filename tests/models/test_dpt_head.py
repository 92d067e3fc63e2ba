"""DPT's head: mmseg's own behind a plain ViT, and its like behind every other backbone."""

import pickle

import mmseg.models
import pytest
import torch
from mmengine.registry import init_default_scope

from vitmm.errors import BackboneError, ConfigError
from vitmm.models import TimmBackbone
from vitmm.models.feature_maps import FeatureMaps
from vitmm.models.heads import dpt_head as build

VIT = dict(img_size=64, depth=4, embed_dim=48, num_heads=3, mlp_ratio=2)
HEAD = dict(channels=16, num_classes=5, post_process_channels=[8, 12, 16, 24], dropout_ratio=0.0)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')
    torch.manual_seed(0)


def head_for(backbone, **settings):
    return build(in_channels=backbone.channels, in_strides=backbone.strides, **HEAD, **settings)


def randomise(module):
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.copy_(torch.randn_like(tensor) / 5)
    module.eval()  # mmseg's ViT returns nothing
    return module


@pytest.mark.parametrize('readout', ['ignore', 'add', 'project'])
def test_it_computes_what_mmsegs_computes(readout, tmp_path):
    theirs = randomise(
        mmseg.models.VisionTransformer(
            img_size=(64, 64),
            embed_dims=48,
            num_layers=4,
            num_heads=3,
            mlp_ratio=2,
            out_indices=(0, 1, 2, 3),
            norm_cfg=dict(type='LN', eps=1e-6),
            with_cls_token=True,
            output_cls_token=True,
        )
    )
    top = randomise(
        mmseg.models.DPTHead(
            in_channels=(48,) * 4,
            embed_dims=48,
            readout_type=readout,
            input_transform='multiple_select',
            in_index=(0, 1, 2, 3),
            **HEAD,
        )
    )
    torch.save(theirs.state_dict(), tmp_path / 'vit.pth')
    backbone = TimmBackbone(
        'vit_tiny_patch16_224',
        pretrained=str(tmp_path / 'vit.pth'),
        model_kwargs=VIT,
        class_token=readout != 'ignore',
    ).eval()
    backbone.init_weights()
    head = head_for(backbone, readout_type=readout).eval()
    head.load_state_dict(top.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            head(backbone(images)), top(theirs(images)), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize(
    ('name', 'settings'),
    [
        ('vit_small_patch14_dinov2', dict(depth=4, embed_dim=48, num_heads=3)),
        ('vit_small_patch16_dinov3', dict(depth=4, embed_dim=48, num_heads=3)),  # and registers
        ('deit_tiny_distilled_patch16_224', dict(depth=4)),
    ],
)
def test_class_tokens_are_timms(name, settings):
    backbone = TimmBackbone(name, model_kwargs=settings, class_token=True, out_norm='final').eval()
    size = backbone.canvas.native
    images = torch.randn(2, 3, *size)
    tokens = []
    for block in backbone.model.blocks:
        block.register_forward_hook(lambda _, __, out: tokens.append(out[:, 0]))
    with torch.no_grad():
        maps = backbone(images)
        expected = [backbone.model.norm(token) for token in tokens]
    assert len(maps.class_tokens) == 4
    for token, other in zip(maps.class_tokens, expected, strict=True):
        torch.testing.assert_close(token, other)
    plain = TimmBackbone(name, model_kwargs=settings, out_norm='final').eval()
    plain.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        for one, other in zip(plain(images), maps, strict=True):
            torch.testing.assert_close(one, other)


def test_of_tiles_they_are_averaged():
    backbone = TimmBackbone(
        'beit_base_patch16_224',
        model_kwargs=dict(depth=4, embed_dim=48, num_heads=3, img_size=32),
        class_token=True,
    ).eval()
    images = torch.randn(2, 3, 32, 64)
    with torch.no_grad():
        whole = backbone(images).class_tokens
        left, right = (backbone(half).class_tokens for half in images.split(32, dim=3))
    for token, a, b in zip(whole, left, right, strict=True):
        torch.testing.assert_close(token, (a + b) / 2)


@pytest.mark.parametrize(
    'name',
    ['vit_small_patch14_dinov2', 'swin_tiny_patch4_window7_224', 'convnext_atto', 'resnet18'],
)
@pytest.mark.parametrize('size', [(64, 64), (75, 131)])
def test_any_backbone_fits(name, size):
    backbone = TimmBackbone(name).eval()
    head = head_for(backbone).eval()
    found = []
    for layer in head.reassemble_blocks.resize_layers:
        layer.register_forward_hook(lambda _, __, out: found.append(out.shape))
    out = head(backbone(torch.randn(2, 3, *size)))
    assert out.shape[:2] == (2, 5) and out.isfinite().all()
    for (_, channels, height, width), stride, wide in zip(
        found, (4, 8, 16, 32), (8, 12, 16, 24), strict=True
    ):
        assert channels == wide
        # To a cell, and to the patches that are no power of two (14 for 16).
        assert abs(height * stride - size[0]) <= 2 * stride + size[0] / 4
        assert abs(width * stride - size[1]) <= 2 * stride + size[1] / 4


def test_bad_settings():
    with pytest.raises(BackboneError, match='gives no class token'):
        TimmBackbone('resnet18', class_token=True)
    with pytest.raises(BackboneError, match='class_token is for maps'):
        TimmBackbone('vit_tiny_patch16_224', output='pooled', class_token=True)
    with pytest.raises(ConfigError, match='four maps: 1 in_channels'):
        head_for(TimmBackbone('resnet18', out_indices=(2,)))
    with pytest.raises(ConfigError, match="one of ignore, add, project, not 'Project'"):
        head_for(TimmBackbone('resnet18'), readout_type='Project')
    backbone = TimmBackbone('resnet18').eval()
    with pytest.raises(ConfigError, match=r'model\.backbone\.class_token=True'):
        head_for(backbone, readout_type='project')(backbone(torch.randn(1, 3, 64, 64)))


def test_maps_keep_their_tokens():
    maps = FeatureMaps([torch.ones(1, 2, 3, 3)], (48, 48), [torch.ones(1, 2)])
    again = pickle.loads(pickle.dumps(maps))
    assert again.image_size == (48, 48) and torch.equal(again.class_tokens[0], torch.ones(1, 2))
    assert TimmBackbone('resnet18')(torch.randn(1, 3, 64, 64)).class_tokens == ()
    twice = torch.utils._pytree.tree_map(lambda tensor: tensor * 2, maps)
    assert twice.image_size == (48, 48)
    assert torch.equal(twice[0], maps[0] * 2)
    assert torch.equal(twice.class_tokens[0], maps.class_tokens[0] * 2)


def test_exported_with_its_tokens(tmp_path):
    backbone = TimmBackbone('vit_tiny_patch16_224', model_kwargs=VIT, class_token=True).eval()
    images = torch.randn(1, 3, 64, 64)
    program = torch.export.export(backbone, (images,), strict=False)  # as torch 2.8 does itself
    with torch.no_grad():
        ours, theirs = backbone(images), program.module()(images)
    assert isinstance(theirs, FeatureMaps)
    for a, b in zip(ours.class_tokens, theirs.class_tokens, strict=True):
        torch.testing.assert_close(a, b)
