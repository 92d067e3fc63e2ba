"""Pretrained weights: from files, kept through the Runner's initialisation."""

import pickle
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest
import timm
import torch
from huggingface_hub import constants
from mmengine.model import Sequential
from safetensors.torch import save_file

from vitmm.compat.checkpoint import CheckpointError
from vitmm.errors import WeightsError
from vitmm.models import TimmBackbone
from vitmm.models.backbones import hub as hub_module
from vitmm.models.backbones import timm_weights

NAME = 'vit_tiny_patch16_224'


@pytest.fixture(scope='module')
def donor():
    torch.manual_seed(5)
    return timm.create_model(NAME, num_classes=11)


def same(backbone, donor):
    theirs = donor.state_dict()
    return all(torch.equal(v, theirs[k]) for k, v in backbone.model.state_dict().items())


@pytest.mark.parametrize('kind', ['pth', 'safetensors', 'wrapped', 'prefixed', 'ours'])
def test_a_local_file(kind, donor, tmp_path):
    state = donor.state_dict()
    path = tmp_path / ('w.safetensors' if kind == 'safetensors' else 'w.pth')
    if kind == 'safetensors':
        save_file(state, path)
    elif kind == 'pth':
        torch.save(state, path)
    elif kind == 'wrapped':
        torch.save({'epoch': 3, 'state_dict': {f'module.{k}': v for k, v in state.items()}}, path)
    elif kind == 'prefixed':
        torch.save({'model': {f'encoder.trunk.{k}': v for k, v in state.items()}}, path)
    else:
        torch.save({'state_dict': {f'backbone.model.{k}': v for k, v in state.items()}}, path)
    backbone = TimmBackbone(NAME, pretrained=str(path))
    assert not same(backbone, donor)  # nothing is read before init_weights
    backbone.init_weights()
    assert same(backbone, donor)


SWIN = dict(embed_dim=24, depths=(2, 2, 1, 1), num_heads=(1, 2, 4, 8))
SIZES = {
    'position embeddings': (NAME, {}, dict(img_size=96)),
    'patch kernels': (NAME, {}, dict(patch_size=8, img_size=64)),
    'more channels': (NAME, {}, dict(in_chans=4)),
    'one channel': ('resnet18', {}, dict(in_chans=1)),
    'channels and kernels': (NAME, {}, dict(patch_size=8, img_size=64, in_chans=2)),
    'windows': ('swin_tiny_patch4_window7_224', SWIN, dict(img_size=256, window_size=8)),
    'tables of a ViT': ('beit_base_patch16_224', dict(depth=3), dict(img_size=96)),
}


@pytest.mark.parametrize('kind', SIZES)
def test_another_size_is_adapted_as_timm_does(kind, tmp_path):
    name, architecture, changed = SIZES[kind]
    torch.manual_seed(1)
    donor = timm.create_model(name, **architecture)
    for key, parameter in donor.named_parameters():
        if key.endswith('relative_position_bias_table'):
            torch.nn.init.normal_(parameter)
    path = str(tmp_path / 'w.pth')
    torch.save(donor.state_dict(), path)
    theirs = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay={'file': path}, **architecture, **changed
    ).state_dict()
    in_chans = changed.get('in_chans', 3)
    settings = {k: v for k, v in {**architecture, **changed}.items() if k != 'in_chans'}
    ours = TimmBackbone(name, path, out_indices=(0, 1), in_chans=in_chans, model_kwargs=settings)
    ours.init_weights()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.model.state_dict().items())


def test_resampling_does_not_hang_on_timms_filters(tmp_path):
    # The same weights by torchvision's names, which timm's filter does not read.
    donor = timm.create_model(NAME, img_size=96)
    names = {'pos_embed': 'encoder.pos_embedding', 'cls_token': 'class_token'}
    rules = [(r'^patch_embed.proj', 'conv_proj'), (r'^norm', 'encoder.ln')]
    rules += [(r'^blocks\.(\d+)', r'encoder.layers.encoder_layer_\1'), (r'norm(\d)', r'ln_\1')]
    rules += [
        (r'attn\.qkv\.', 'self_attention.in_proj_'),
        (r'attn\.proj', 'self_attention.out_proj'),
    ]
    rules += [(r'fc1', '0'), (r'fc2', '3')]
    state = {}
    for key, value in donor.state_dict().items():
        for rule in rules:
            key = re.sub(*rule, key)
        state[names.get(key, key)] = value
    torch.save(state, tmp_path / 'torchvision.pth')
    torch.save(donor.state_dict(), tmp_path / 'timm.pth')
    found = []
    for file in ('torchvision.pth', 'timm.pth'):
        model_kwargs = dict(patch_size=8, img_size=64)
        backbone = TimmBackbone(NAME, str(tmp_path / file), in_chans=4, model_kwargs=model_kwargs)
        backbone.init_weights()
        found.append(backbone.model.state_dict())
    assert all(torch.equal(value, found[1][key]) for key, value in found[0].items())


class Lora(torch.nn.Module):
    """What LoRA makes of a linear layer."""

    def __init__(self, linear):
        super().__init__()
        self.base_layer = linear
        self.lora_A = torch.nn.Linear(linear.in_features, 2, bias=False)
        self.lora_B = torch.nn.Linear(2, linear.out_features, bias=False)


@pytest.mark.parametrize('source', ['file', 'hub'])
def test_under_lora(source, donor, tmp_path, hub):
    torch.save(donor.state_dict(), tmp_path / 'w.pth')
    hub(donor.state_dict())
    pretrained = str(tmp_path / 'w.pth') if source == 'file' else True
    backbone = TimmBackbone(NAME, pretrained, out_indices=(1, 3))
    for block in backbone.model.blocks:
        block.attn.qkv = Lora(block.attn.qkv)
    before = {k: v.clone() for k, v in backbone.model.state_dict().items() if 'lora_' in k}
    backbone.init_weights()
    theirs = donor.state_dict()
    for key, value in backbone.model.state_dict().items():
        expected = before[key] if key in before else theirs[key.replace('.base_layer.', '.')]
        assert torch.equal(value, expected), key


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(timm_weights, 'print_log', lambda text, **_: lines.append(text))
    return lines


def test_what_matched_is_logged(donor, tmp_path, log):
    state = {f'backbone.{key}': value for key, value in donor.state_dict().items()}
    for name in ('weight', 'bias'):
        del state[f'backbone.blocks.3.norm1.{name}']
    state['backbone.strange'] = torch.ones(3)
    state['neck.weight'] = torch.ones(3)
    torch.save({'state_dict': state}, tmp_path / 'w.pth')
    backbone = TimmBackbone(
        NAME, str(tmp_path / 'w.pth'), output='pooled', model_kwargs=dict(img_size=96)
    )
    backbone.init_weights()
    assert log == [
        f"{tmp_path}/w.pth (timm, under 'backbone.'): 148 of 150 tensors of {NAME} loaded; "
        'resampled: pos_embed (1, 197, 192) to (1, 37, 192); '
        'not in the file, or of another shape: blocks.3.norm1.weight, blocks.3.norm1.bias; '
        'in the file only: strange'
    ]


@pytest.mark.parametrize('pair', [('teacher', 'student'), ('base_encoder', 'momentum_encoder')])
def test_the_better_of_two_copies(pair, donor, tmp_path):
    better, worse = pair
    state = {}
    for key, value in donor.state_dict().items():
        state |= {f'module.{worse}.{key}': torch.zeros_like(value), f'module.{better}.{key}': value}
    torch.save(state, tmp_path / 'w.pth')
    backbone = TimmBackbone(NAME, str(tmp_path / 'w.pth'))
    backbone.init_weights()
    assert same(backbone, donor)


@pytest.fixture
def hub(monkeypatch):
    """No network here: give the weights that timm's download shall bring, get what it asked for."""
    asked = []

    def serve(state):
        def load(repository, *args, **kwargs):
            asked.append(repository)
            return dict(state)

        monkeypatch.setattr(timm.models._builder, 'load_state_dict_from_hf', load)
        monkeypatch.setattr(hub_module, '_answers', lambda url: True)
        return asked

    return serve


@pytest.mark.parametrize('answers', [True, False])
def test_a_hub_that_does_not_answer_is_asked_once(answers, monkeypatch):
    """Its client, which would ask for minutes, is told that there is no network."""
    seen = []

    def load(*args, **kwargs):
        seen.append(constants.is_offline_mode())
        raise OSError('not in the cache')

    with socketserver.TCPServer(('127.0.0.1', 0), BaseHTTPRequestHandler) as server:  # HEAD: 501
        monkeypatch.setattr(constants, 'ENDPOINT', f'http://127.0.0.1:{server.server_address[1]}')
        monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
        monkeypatch.setattr(timm.models._builder, 'load_state_dict_from_hf', load)
        if answers:
            threading.Thread(target=server.handle_request, daemon=True).start()
        else:
            server.server_close()
        reason = 'OSError: not in the cache' if answers else 'does not answer'
        with pytest.raises(WeightsError, match=f'{reason}.*{NAME}.*pretrained=<path'):
            TimmBackbone(NAME, pretrained=True).init_weights()
    assert seen == [not answers]
    assert not constants.is_offline_mode()


@pytest.mark.parametrize(
    'name, tag', [(NAME, 'augreg_in21k_ft_in1k'), (f'{NAME}.augreg_in21k', 'augreg_in21k')]
)
def test_the_hub_by_tag(name, tag, hub):
    classes = 21843 if tag == 'augreg_in21k' else 1000
    donor = timm.create_model(NAME, num_classes=classes)
    asked = hub(donor.state_dict())
    backbone = TimmBackbone(name, pretrained=True, out_indices=(3, 7))
    assert not asked  # nothing is fetched before training
    backbone.init_weights()
    assert asked == [f'timm/{NAME}.{tag}']
    assert same(backbone, donor)
    assert 'blocks.8.norm1.weight' not in backbone.model.state_dict()


@pytest.mark.parametrize(
    'name, architecture', [(NAME, dict(depth=4)), ('swin_tiny_patch4_window7_224', SWIN)]
)
def test_the_hub_adapts_as_timm_does(name, architecture, hub):
    hub(timm.create_model(name, **architecture).state_dict())
    settings = dict(img_size=448, **architecture)
    theirs = timm.create_model(name, pretrained=True, in_chans=4, **settings).state_dict()
    backbone = TimmBackbone(name, True, in_chans=4, out_indices=(0, 1), model_kwargs=settings)
    backbone.init_weights()
    assert all(torch.equal(v, theirs[k]) for k, v in backbone.model.state_dict().items())


@pytest.mark.parametrize('classes', [1000, 7])
def test_the_hub_keeps_the_classifier_of_as_many_classes(classes, hub):
    donor = timm.create_model(NAME, depth=2)
    torch.nn.init.normal_(donor.head.weight)
    hub(donor.state_dict())
    backbone = TimmBackbone(
        NAME, True, output='logits', num_classes=classes, model_kwargs=dict(depth=2)
    )
    backbone.init_weights()
    kept = classes == 1000
    assert backbone.unfilled == (() if kept else ('head.weight', 'head.bias'))
    found, theirs = backbone.model.state_dict(), donor.state_dict()
    assert all(torch.equal(found[k], theirs[k]) for k in found if k not in backbone.unfilled)


def test_the_hub_under_another_pooling(hub):
    donor = timm.create_model(NAME, depth=2)
    hub(donor.state_dict())
    settings = dict(depth=2, global_pool='map')
    backbone = TimmBackbone(NAME, True, output='pooled', model_kwargs=settings)
    backbone.init_weights()
    assert backbone.unfilled and all(
        key.startswith(('attn_pool.', 'fc_norm.')) for key in backbone.unfilled
    )
    found, theirs = backbone.model.state_dict(), donor.state_dict()
    assert all(torch.equal(found[k], theirs[k]) for k in found if k not in backbone.unfilled)


def test_the_hub_where_the_pooling_is_another(hub, log):
    name = 'vit_base_patch16_224.mae'  # whose weights have a norm before the pooling
    small = dict(depth=2, embed_dim=48, num_heads=3)
    donor = timm.create_model(name, num_classes=0, **small)
    torch.nn.init.normal_(donor.norm.weight)
    hub(donor.state_dict())
    kwargs = dict(global_pool='avg', **small)
    backbone = TimmBackbone(name, True, output='pooled', model_kwargs=kwargs)
    backbone.init_weights()
    found, theirs = backbone.model.state_dict(), donor.state_dict()
    assert found.keys() - theirs.keys() == {'fc_norm.weight', 'fc_norm.bias'}
    assert all(torch.equal(v, theirs[k]) for k, v in found.items() if k in theirs)
    assert found['fc_norm.weight'].unique().tolist() == [1.0]
    assert 'no such: fc_norm.weight, fc_norm.bias' in log[-1]


def test_the_hub_where_pruning_shortens_a_tensor(hub):
    donor = timm.create_model('efficientvim_m1')  # weighs its stages for the classifier
    hub(donor.state_dict())
    backbone = TimmBackbone('efficientvim_m1', True, out_indices=(0,))
    backbone.init_weights()
    theirs = donor.state_dict()
    found = backbone.model.state_dict()
    assert [k for k, v in found.items() if not torch.equal(v, theirs[k])] == ['weights']


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_mmengines_own_way(prefix, donor, tmp_path):
    trained = TimmBackbone(NAME, out_norm='layer')
    trained.model.load_state_dict(donor.state_dict(), strict=False)
    torch.nn.init.normal_(trained.norms[0].weight)
    state = {f'{prefix or ""}{key}': value for key, value in trained.state_dict().items()}
    torch.save(
        {'meta': {}, 'state_dict': {**state, 'head.bias': torch.ones(3)}}, tmp_path / 'w.pth'
    )
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'w.pth'))
    if prefix:
        init_cfg['prefix'] = prefix
    # Inside a model, as the Runner initialises it.
    whole = Sequential(TimmBackbone(NAME, out_norm='layer', init_cfg=init_cfg))
    whole.init_weights()
    found, expected = whole[0].state_dict(), trained.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


def test_no_network_and_no_weights_say_what_to_do(monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    with pytest.raises(WeightsError, match='pretrained=<path'):
        TimmBackbone(f'{NAME}.augreg_in21k', pretrained=True).init_weights()
    with pytest.raises(WeightsError, match='has no pretrained weights'):
        TimmBackbone('test_vit4', pretrained=True).init_weights()


def test_weights_of_another_model(donor, tmp_path):
    torch.save(donor.state_dict(), tmp_path / 'w.pth')
    with pytest.raises(WeightsError, match=r"weights for 'resnet18'.*conv1.weight.*cls_token"):
        TimmBackbone('resnet18', pretrained=str(tmp_path / 'w.pth')).init_weights()
    with pytest.raises(WeightsError, match='another shape'):
        TimmBackbone(
            'vit_tiny_patch16_224',
            model_kwargs=dict(embed_dim=96),
            pretrained=str(tmp_path / 'w.pth'),
        ).init_weights()


class Bomb:
    def __reduce__(self):
        return eval, ('1 + 1',)


@pytest.mark.parametrize('kind', ['missing', 'truncated', 'code', 'text'])
def test_broken_files(kind, donor, tmp_path):
    path = tmp_path / 'w.pth'
    if kind == 'truncated':
        torch.save(donor.state_dict(), path)
        path.write_bytes(path.read_bytes()[:-1000])
    elif kind == 'code':
        path.write_bytes(pickle.dumps({'state_dict': Bomb()}))
    elif kind == 'text':
        path.write_text('<html>404</html>')
    with pytest.raises(CheckpointError, match=r'w\.pth'):
        TimmBackbone(NAME, pretrained=str(path)).init_weights()
