"""LoRA: nothing changes at first, adapters alone train, and merging changes nothing again."""

import re
import sys
from importlib.util import find_spec

import pytest
import timm
import torch
from torch import nn

from vitmm.errors import BackboneError
from vitmm.models import TimmBackbone
from vitmm.models.backbones.lora import is_adapter, merge

needs_peft = pytest.mark.skipif(
    find_spec('peft') is None, reason='LoRA needs peft: pip install peft'
)
# Name, settings that make it small, how many layers are adapted, and the pattern of their names.
MODELS = {
    'vit_tiny_patch16_224': (dict(depth=2), 4, r'blocks\.\d\.attn\.(qkv|proj)'),
    'swin_tiny_patch4_window7_224': (
        dict(depths=(1, 1, 1, 1)), 8, r'layers\.\d\.blocks\.0\.attn\.(qkv|proj)'),
    # These two read qkv.weight without calling qkv.
    'beit_base_patch16_224': (
        dict(depth=2, embed_dim=96, num_heads=3), 4, r'blocks\.\d\.attn\.(qkv|proj)'),
    'swinv2_tiny_window8_256': (
        dict(depths=(1, 1, 1, 1)), 8, r'layers\.\d\.blocks\.0\.attn\.(qkv|proj)'),
    # Its class attention gives nothing to the maps, and stays as it is.
    'cait_xxs24_224': (dict(depth=2), 8, r'blocks\.\d\.attn\.(qkv|proj|proj_l|proj_w)'),
    # No attention: the linear layers.
    'convnext_tiny': (dict(depths=(1, 1, 1, 1)), 8, r'stages\.\d\.blocks\.0\.mlp\.fc\d'),
    # Nor these: the convolutions, but not the grouped ones.
    'resnet18': ({}, 20, r'(conv1|layer\d\.\d\.(conv\d|downsample\.0))'),
    'mobilenetv3_small_100': (
        {}, 41, r'(conv_stem|blocks\.\d\.\d\.(conv(_pwl?)?|se\.conv_(reduce|expand)))'),
}  # fmt: skip
LORA = dict(r=4, lora_alpha=8)


def make(name, lora=None, **settings):
    torch.manual_seed(0)
    backbone = TimmBackbone(name, lora=lora, model_kwargs=MODELS[name][0], **settings).eval()
    for parameter in backbone.parameters():
        if parameter.ndim == 1:  # norms and layer scales that begin at 0 would hide their branch
            nn.init.uniform_(parameter, 0.5, 1.5)
    return backbone


def pair(name, lora=LORA, **settings):
    """The plain backbone, and the one with adapters around the same weights."""
    plain, adapted = make(name, **settings), make(name, lora, **settings)
    state = plain.state_dict()
    keys = [key for key in adapted.state_dict() if not is_adapter(key)]
    adapted.load_state_dict({k: state[k.replace('.base_layer.', '.')] for k in keys}, strict=False)
    return plain, adapted


def randomize(backbone):
    for name, parameter in backbone.named_parameters():
        if is_adapter(name):
            nn.init.normal_(parameter, std=0.1)


def images(size=64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def loss(backbone):
    return sum(m.square().mean() for m in backbone(images()))


@needs_peft
@pytest.mark.parametrize('name', MODELS)
def test_which_layers_are_adapted(name):
    _, count, pattern = MODELS[name]
    state = make(name, LORA).model.state_dict()
    adapted = {key.partition('.lora_A.')[0] for key in state if '.lora_A.' in key}
    assert len(adapted) == count
    assert all(re.fullmatch(pattern, key) for key in adapted), adapted


@needs_peft
@pytest.mark.parametrize('name', MODELS)
def test_outputs_are_the_same_at_first(name):
    # In double precision: where a layer's inputs lie in memory changes the last bits of a float.
    plain, adapted = (backbone.double() for backbone in pair(name))
    inputs = images().double()
    with torch.no_grad():
        for a, b in zip(plain(inputs), adapted(inputs), strict=True):
            torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


@needs_peft
@pytest.mark.parametrize('name', MODELS)
def test_only_adapters_train(name):
    backbone = make(name, LORA).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):  # the first step moves B alone, because B is zero
        optimizer.zero_grad()
        loss(backbone).backward()
        for key, parameter in backbone.named_parameters():
            assert parameter.requires_grad == (parameter.grad is not None) == is_adapter(key), key
        optimizer.step()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, before[key]) != is_adapter(key), key


@needs_peft
@pytest.mark.parametrize('name', MODELS)
def test_merging_changes_no_output_and_restores_the_keys(name):
    plain, adapted = (backbone.double() for backbone in pair(name))
    randomize(adapted)
    pixels = images().double()
    with torch.no_grad():
        unmerged = adapted(pixels)
        assert merge(adapted) == MODELS[name][1]
        for before, after, other in zip(unmerged, adapted(pixels), plain(pixels), strict=True):
            torch.testing.assert_close(before, after, atol=1e-9, rtol=1e-9)
            assert (after - other).std() > 0.01 * other.std()
    assert list(adapted.state_dict()) == list(plain.state_dict())
    assert [type(m) for m in adapted.modules()] == [type(m) for m in plain.modules()]


@needs_peft
@pytest.mark.parametrize(
    'more',
    [
        dict(use_rslora=True, init_lora_weights='gaussian'),
        dict(lora_bias=True),
        dict(bias='lora_only'),
        dict(rank_pattern={'proj': 2}, alpha_pattern={'qkv': 3}, lora_dropout=0.5),
        dict(target_modules=['mlp.fc1'], layers_pattern='blocks', layers_to_transform=[1]),
        dict(target_modules='all-linear', exclude_modules=['proj']),
    ],
    ids=lambda more: '-'.join(more),
)
def test_pefts_settings_merge(more):
    adapted = make('vit_tiny_patch16_224', {**LORA, **more}).double()
    randomize(adapted)
    with torch.no_grad():
        unmerged = adapted(images().double())
        assert merge(adapted)
        for before, after in zip(unmerged, adapted(images().double()), strict=True):
            torch.testing.assert_close(before, after, atol=1e-9, rtol=1e-9)


@needs_peft
def test_trainable_biases():
    backbone = make('vit_tiny_patch16_224', dict(bias='lora_only'))
    trains = {k for k, p in backbone.model.named_parameters() if p.requires_grad and '.bias' in k}
    layers = [f'blocks.{i}.attn.{kind}' for i in range(2) for kind in ('qkv', 'proj')]
    assert trains == {f'{layer}.base_layer.bias' for layer in layers}


@needs_peft
def test_frozen_parts_rest_and_the_adapters_dropout_does_not():
    backbone = make('resnet18', dict(r=4, lora_dropout=0.5)).train()
    randomize(backbone)
    statistics = backbone.model.bn1.running_mean.clone()
    assert not torch.equal(backbone(images())[0], backbone(images())[0])
    assert torch.equal(backbone.model.bn1.running_mean, statistics)
    backbone.eval()
    assert torch.equal(backbone(images())[0], backbone(images())[0])


@needs_peft
def test_new_norms_train_beside_the_adapters():
    backbone = make('vit_tiny_patch16_224', LORA, out_norm='layer')
    assert all(p.requires_grad for p in backbone.norms.parameters())


@needs_peft
def test_frozen_groups_freeze_their_adapters():
    backbone = make('vit_tiny_patch16_224', LORA, frozen_groups=2)  # the stem and a block
    trains = {key.partition('.attn')[0] for key, p in backbone.model.named_parameters()
              if p.requires_grad}  # fmt: skip
    assert trains == {'blocks.1'}


@needs_peft
@pytest.mark.parametrize('name', MODELS)
def test_adapters_lie_as_deep_as_their_layer(name):
    plain, adapted = make(name).layer_depths(), make(name, LORA).layer_depths()
    for key, depth in adapted.items():
        layer = re.sub(r'\.base_layer|lora_[AB]\.default\.', '', key).replace('..', '.')
        assert depth == plain[layer], key


@needs_peft
def test_checkpointing_changes_no_gradient():
    plain = make('vit_tiny_patch16_224', LORA).train()
    randomize(plain)
    saving = make('vit_tiny_patch16_224', LORA, grad_checkpointing=True).train()
    saving.load_state_dict(plain.state_dict())
    for backbone in (plain, saving):
        loss(backbone).backward()
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        if is_adapter(name):
            torch.testing.assert_close(a.grad, b.grad)


@needs_peft
def test_pretrained_weights_go_under_the_adapters(tmp_path):
    name = 'vit_tiny_patch16_224'
    torch.manual_seed(5)
    donor = timm.create_model(name, depth=2)
    torch.save(donor.state_dict(), tmp_path / 'w.pth')
    adapted = make(name, LORA, pretrained=str(tmp_path / 'w.pth'), out_norm='final')
    adapted.init_weights()
    with torch.no_grad():
        maps, tokens = adapted(images(224)), donor.eval().forward_features(images(224))
    expected = tokens[:, 1:].reshape(2, 14, 14, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(maps[-1], expected, atol=1e-5, rtol=1e-5)
    assert any(is_adapter(key) for key in adapted.state_dict())


@needs_peft
@pytest.mark.parametrize(
    ('name', 'lora', 'words'),
    [
        ('vit_tiny_patch16_224', dict(target_modules=['qvk']), 'qvk.* adapted: proj, qkv, fc1'),
        ('vit_tiny_patch16_224', dict(target_modules=['norm1']), 'not supported.*qkv'),
        ('vit_tiny_patch16_224', dict(lora_alfa=4), 'lora_alfa.*Did you mean lora_alpha'),
        ('vit_tiny_patch16_224', dict(r=0), 'positive'),
        ('vit_tiny_patch16_224', dict(layers_to_transform=[0]), 'with target_modules.*qkv'),
        ('vit_tiny_patch16_224', dict(init_lora_weights='pissa'), 'pissa.*gaussian'),
        ('vit_tiny_patch16_224', dict(use_dora=True), 'leave out use_dora'),
        ('vit_tiny_patch16_224', dict(modules_to_save=['norm1']), 'modules_to_save'),
        ('beit_base_patch16_224', dict(lora_bias=True), 'qkv has no bias'),
        ('resnet18', dict(target_modules=['fc']), 'can be adapted: conv1, conv2, downsample.0'),
        ('mobilenetv3_small_100', dict(target_modules=['conv_dw'], r=4), 'groups=16.*conv_pw'),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(name, lora, words):
    with pytest.raises(BackboneError, match=f'(?s)model.backbone.lora: .*{words}'):
        make(name, lora)


@needs_peft
def test_a_model_whose_layers_cannot_be_merged():
    with pytest.raises(BackboneError, match='no layer that could be adapted'):
        TimmBackbone('resnetv2_50x1_bit', lora=LORA)  # it standardises its weights at each call


def test_without_peft(monkeypatch):
    monkeypatch.setitem(sys.modules, 'peft', None)
    with pytest.raises(BackboneError, match=r"pip install 'peft>=0\.21'"):
        make('vit_tiny_patch16_224', LORA)
