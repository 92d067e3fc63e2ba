"""Pretrained weights: from files, kept through the Runner's initialisation."""

import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from vitmm.compat.checkpoint import CheckpointError
from vitmm.errors import WeightsError
from vitmm.models import TimmBackbone

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


def test_position_embeddings_are_resampled(tmp_path):
    donor = timm.create_model(NAME, img_size=96)
    torch.save(donor.state_dict(), tmp_path / 'w.pth')
    backbone = TimmBackbone(NAME, pretrained=str(tmp_path / 'w.pth'))
    backbone.init_weights()
    expected = timm.layers.resample_abs_pos_embed(donor.pos_embed, (14, 14), num_prefix_tokens=1)
    torch.testing.assert_close(backbone.model.pos_embed, expected)


def test_the_hub_is_timms_own_loading(donor, tmp_path, monkeypatch):
    # No network here: timm is told that its file for this name lies on disk.
    torch.save(timm.create_model(NAME, num_classes=1000).state_dict(), tmp_path / 'hub.pth')
    whole = timm.create_model

    def from_disk(name, **kwargs):
        if kwargs.get('pretrained'):
            kwargs['pretrained_cfg_overlay'] = {'file': str(tmp_path / 'hub.pth')}
        return whole(name, **kwargs)

    monkeypatch.setattr(timm, 'create_model', from_disk)
    backbone = TimmBackbone(NAME, pretrained=True, out_indices=(3, 7))
    backbone.init_weights()
    stored = torch.load(tmp_path / 'hub.pth')
    assert all(torch.equal(v, stored[k]) for k, v in backbone.model.state_dict().items())
    assert 'blocks.8.norm1.weight' not in backbone.model.state_dict()


def test_no_network_and_no_weights_say_what_to_do(monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    with pytest.raises(WeightsError, match='pretrained=<path'):
        TimmBackbone('vit_base_patch16_224.mae', pretrained=True).init_weights()
    name = next(n for n in timm.list_models('vit_*') if not timm.is_model_pretrained(n))
    with pytest.raises(WeightsError, match='has no pretrained weights'):
        TimmBackbone(name, pretrained=True).init_weights()


def test_weights_of_another_model(donor, tmp_path):
    torch.save(donor.state_dict(), tmp_path / 'w.pth')
    with pytest.raises(WeightsError, match=r"weights for 'resnet18'.*conv1.weight.*cls_token"):
        TimmBackbone('resnet18', pretrained=str(tmp_path / 'w.pth')).init_weights()
    with pytest.raises(WeightsError, match='another shape'):
        TimmBackbone('vit_small_patch16_224', pretrained=str(tmp_path / 'w.pth')).init_weights()


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
