import math

import numpy as np
import pytest
import timm
import torch
from support import BACKBONES

from vitmm.errors import BackboneError
from vitmm.models import TimmBackbone
from vitmm.models.backbones import twin
from vitmm.models.backbones.taps import choose_taps
from vitmm.models.feature_maps import FeatureMaps


@pytest.mark.parametrize('name', BACKBONES)
def test_maps_equal_timms_own_features(name):
    backbone = TimmBackbone(name).eval()
    size = min(timm.get_pretrained_cfg(name).input_size[-1], 224)
    reference = timm.create_model(
        name,
        features_only=True,
        out_indices=[list_index(name, i) for i in range(4)],
        **({'img_size': size} if 'dinov2' in name else {}),
    ).eval()
    state = backbone.model.state_dict()
    wrapped = reference.model if hasattr(reference, 'model') else reference
    own = wrapped.state_dict()
    for key in own:
        # timm's FeatureListNet calls stages.0 stages_0
        first, _, rest = key.partition('.')
        source = key if key in state else f'{first.replace("_", ".")}.{rest}'
        if own[key].shape == state[source].shape:
            own[key] = state[source]
        else:  # a position embedding of another grid
            own[key] = timm.layers.resample_abs_pos_embed(
                state[source], (size // 14, size // 14), num_prefix_tokens=1
            )
    wrapped.load_state_dict(own)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        ours, theirs = backbone(images), reference(images)
    assert len(ours) == len(theirs) == 4
    for mine, other, channels, stride in zip(
        ours, theirs, backbone.channels, backbone.strides, strict=True
    ):
        if other.shape != mine.shape:  # some of timm's features come as NHWC
            other = other.permute(0, 3, 1, 2)
        assert mine.shape == (2, channels, math.ceil(size / stride), math.ceil(size / stride))
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def list_index(name, level):
    reductions = [f['reduction'] for f in timm.create_model(name).feature_info]
    return choose_taps(reductions, (4, 8, 16, 32))[level]


@pytest.mark.parametrize('name', BACKBONES)
def test_any_size_in_one_instance(name):
    backbone = TimmBackbone(name).eval()
    for height, width in ((224, 224), (64, 96), (250, 333), (97, 130)):
        with torch.no_grad():
            maps = backbone(torch.randn(1, 3, height, width))
        assert maps.image_size == (height, width)
        for m, c, s in zip(maps, backbone.channels, backbone.strides, strict=True):
            assert m.shape == (1, c, math.ceil(height / s), math.ceil(width / s))


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('out_norm', [None, 'layer'])
def test_every_parameter_gets_a_gradient(name, out_norm):
    backbone = TimmBackbone(name, out_norm=out_norm).train()
    sum(m.square().mean() for m in backbone(torch.randn(2, 3, 64, 64))).backward()
    dead = [n for n, p in backbone.named_parameters() if p.grad is None]
    assert not dead


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'resnet18', 'mobilenetv3_small_100'])
def test_pooled_features_are_what_timms_classifier_gets(name):
    torch.manual_seed(0)
    backbone = TimmBackbone(name, output='pooled').eval()
    whole = timm.create_model(name, num_classes=7).eval()
    state = whole.state_dict()
    backbone.model.load_state_dict({k: state[k] for k in backbone.model.state_dict()})
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        (pooled,) = backbone(images)
        logits = whole.get_classifier()(pooled)
        torch.testing.assert_close(logits, whole(images), atol=1e-5, rtol=1e-4)
    assert pooled.shape == (2, *backbone.channels)


def test_final_norm_is_the_models_own():
    backbone = TimmBackbone('vit_tiny_patch16_224', out_norm='final', out_indices=(-1,)).eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        (mapped,) = backbone(images)
        tokens = backbone.model.forward_features(images)[:, 1:]
    expected = tokens.reshape(1, 14, 14, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(mapped, expected, atol=1e-5, rtol=1e-5)


def test_layer_norm_of_each_map():
    backbone = TimmBackbone('resnet18', out_norm='layer').eval()
    with torch.no_grad():
        for m in backbone(torch.randn(1, 3, 64, 64)):
            torch.testing.assert_close(m.mean(1), torch.zeros_like(m.mean(1)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ('reductions', 'expected'),
    [
        ([16] * 12, [2, 5, 8, 11]),
        ([4, 8, 16, 32], [0, 1, 2, 3]),
        ([2, 4, 8, 16, 32], [1, 2, 3, 4]),
        ([8, 16, 32], [0, 0, 1, 2]),
        ([16, 32, 64], [0, 0, 0, 1]),
        ([14] * 6, [1, 2, 4, 5]),
        ([32], [0, 0, 0, 0]),
    ],
)
def test_default_taps(reductions, expected):
    assert choose_taps(reductions, (4, 8, 16, 32)) == expected


def test_out_strides():
    backbone = TimmBackbone('vit_tiny_patch16_224', out_strides=(8, 16, 32))
    assert backbone.strides == (16, 16, 16)
    assert TimmBackbone('resnet18', out_strides=(8, 16, 32)).strides == (8, 16, 32)
    assert TimmBackbone('resnet18', out_strides=8).strides == (8,)
    assert TimmBackbone('resnet18', out_indices=2).strides == (8,)


def test_out_indices():
    backbone = TimmBackbone('resnet18', out_indices=(1, -1))
    assert backbone.strides == (4, 32)
    assert [m.shape[1] for m in backbone(torch.randn(1, 3, 64, 64))] == [64, 512]


def test_blocks_behind_the_last_map_are_dropped():
    whole, part = (
        TimmBackbone('vit_tiny_patch16_224'),
        TimmBackbone('vit_tiny_patch16_224', out_indices=(2, 5)),
    )
    assert len(whole.model.blocks) == 12
    assert len(part.model.blocks) == 6


def test_description():
    backbone = TimmBackbone('resnet18', in_chans=4)
    assert backbone.mean == (123.675, 116.28, 103.53, 123.675)
    depths = backbone.layer_depths()
    assert depths.keys() == dict(backbone.model.named_parameters()).keys()
    assert min(depths.values()) == depths['conv1.weight'] == 0
    assert depths['layer1.0.conv1.weight'] < depths['layer4.1.conv2.weight']


def test_freezing_rests_statistics_and_drop_path():
    backbone = TimmBackbone('resnet18', frozen_groups=2).train()
    depths = backbone.layer_depths()
    for name, parameter in backbone.model.named_parameters():
        assert parameter.requires_grad == (depths[name] >= 2)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    sum(m.mean() for m in backbone(torch.randn(2, 3, 64, 64))).backward()
    after = backbone.state_dict()
    assert torch.equal(before['model.bn1.running_mean'], after['model.bn1.running_mean'])
    assert not torch.equal(
        before['model.layer4.0.bn1.running_mean'], after['model.layer4.0.bn1.running_mean']
    )
    frozen = TimmBackbone('vit_tiny_patch16_224', frozen_groups='all', drop_path_rate=0.5).train()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(frozen(images)[0], frozen(images)[0])
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(model_name='swin_tny_patch4_window7_224'), 'swin_tiny_patch4_window7_224'),
        (dict(model_name='xyzzy'), 'list_models'),
        (dict(model_name='resnet18.wrong'), 'resnet18.a1_in1k'),
        (dict(model_name='resnet18', out_indices=(0, 5)), '0 to 4'),
        (dict(model_name='resnet18', out_indices=(2, 1)), 'ascending'),
        (dict(model_name='resnet18', out_strides=()), r'out_strides=\(\): give at least one'),
        (dict(model_name='resnet18', out_strides=(8, 0)), 'give at least one, in pixels'),
        (dict(model_name='resnet18', drop_path_rate=1.5), 'drop_path_rate is from 0'),
        (dict(model_name='resnet18', output='map'), "'maps', 'pooled' or 'logits'"),
        (dict(model_name='resnet18', out_norm='LN'), "'final'"),
        (dict(model_name='resnet18', output='pooled', out_norm='layer'), 'for maps'),
        (dict(model_name='resnet18', frozen_groups=99), 'groups'),
        (dict(model_name='resnet18', frozen_groups=True), "frozen_groups=True: .*or 'all'"),
        (dict(model_name='resnet18', frozen_groups='some'), "frozen_groups='some': .*or 'all'"),
        (dict(model_name='resnet18', frozen_norms='yes'), "frozen_norms='yes': give True or"),
        (dict(model_name='test_vit', window_size=True), 'window_size=True: give a number'),
        (dict(model_name='test_vit', window_size=4, global_blocks='all'), "blocks='all': give how"),
        (
            dict(model_name='test_vit', window_size=4, global_blocks=2.0),
            'blocks=2.0: give how many',
        ),
        (dict(model_name='resnet18', out_indices=(1.0,)), r'out_indices=\(1.0,\): give whole'),
        (dict(model_name=None), 'model_name=None: give a name'),
        (dict(model_name='resnet18', pretrained=''), "pretrained='': give True for"),
        (
            dict(model_name='resnet18', model_kwargs=dict(in_chans=4)),
            'give model.backbone.in_chans',
        ),
        (dict(model_name='resnet18', model_kwargs=dict(embed_dim=8)), 'embed_dim'),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(BackboneError, match=words):
        TimmBackbone(**settings)


def test_numbers_of_other_kinds_and_what_is_not_used():
    """As NumPy and divisions give them."""
    plain = TimmBackbone('resnet18', out_indices=(1, 2))
    for indices in (np.array([1, 2]), [np.int64(1), 2], range(1, 3)):
        assert TimmBackbone('resnet18', out_indices=indices).channels == plain.channels
    assert TimmBackbone('resnet18', out_strides=(8.0, 16.0)).strides == (8, 16)
    TimmBackbone('resnet18', out_strides=None, out_indices=1, global_blocks=None, frozen_norms=None)


def test_settings_of_the_model():
    fixed = TimmBackbone('vit_tiny_patch16_224', model_kwargs=dict(dynamic_img_size=False))
    assert fixed.canvas.policy == 'tiles'
    for key in ('num_classes', 'features_only'):
        with pytest.raises(BackboneError, match=key):
            TimmBackbone('resnet18', model_kwargs={key: 3})


def test_frozen_norms_rest_and_the_others_learn():
    backbone = TimmBackbone('resnet18', frozen_norms=True).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    sum(m.sum() for m in backbone(torch.randn(2, 3, 64, 64))).backward()
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {n for n in before if '.bn' in n or 'downsample.1' in n} & frozen
    assert len(frozen) == 2 * 20  # weight and bias of 20 batch norms
    assert all(p.grad is not None for p in backbone.parameters() if p.requires_grad)


def test_images_that_it_cannot_take():
    backbone = TimmBackbone('resnet18').eval()
    for shape in ((1, 4, 32, 32), (1, 3, 0, 32), (3, 32, 32)):
        with pytest.raises(BackboneError, match='3 channels'):
            backbone(torch.randn(*shape))
    assert backbone(torch.randn(1, 3, 1, 1))[0].shape[-2:] == (1, 1)


def test_a_final_norm_that_fits_no_map_is_left_out():
    # timm's Hiera refuses to be asked for it; a recipe for plain ViTs asks every backbone.
    torch.manual_seed(0)
    asked = TimmBackbone('hiera_tiny_224', out_norm='final').eval()
    plain = TimmBackbone('hiera_tiny_224').eval()
    plain.load_state_dict(asked.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        for a, b in zip(asked(images), plain(images), strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize('output', ['maps', 'pooled'])
def test_it_is_built_without_gradients_too(mode, output, monkeypatch):
    monkeypatch.setattr(twin, '_known', {})  # so that it is asked anew
    monkeypatch.setattr(twin, '_last', {})
    with mode():
        found = TimmBackbone('test_vit', output=output)
        maps = found(torch.zeros(1, 3, 160, 160))
    expected = TimmBackbone('test_vit', output=output)
    shapes = [one.shape for one in expected(torch.zeros(1, 3, 160, 160))]
    assert [one.shape for one in maps] == shapes
    assert found._unused == expected._unused


@pytest.mark.parametrize('name', ['test_vit', 'test_resnet'])
def test_it_is_exported_by_itself(name, tmp_path):
    model, images = TimmBackbone(name).eval(), torch.randn(1, 3, 70, 100)
    program = torch.export.export(model, (images,), strict=False)
    torch.export.save(program, tmp_path / 'model.pt2')
    found = torch.export.load(tmp_path / 'model.pt2').module()(images)
    assert isinstance(found, FeatureMaps) and found.image_size == (70, 100)
    for one, other in zip(found, model(images), strict=True):
        torch.testing.assert_close(one, other)


def test_no_module_of_it_has_classes():
    """mmdet's NumClassCheckHook would hold them against the data's."""
    for name in BACKBONES:
        assert not [n for n, m in TimmBackbone(name).named_modules() if hasattr(m, 'num_classes')]
