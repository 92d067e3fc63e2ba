"""Recomputed activations give the same maps and gradients, and fewer are kept."""

import copy

import pytest
import torch

from vitmm.errors import BackboneError
from vitmm.models import TimmBackbone

# One of every model file of timm whose own switch is missing or does nothing to its maps.
WITHOUT = [
    'coat_tiny',
    'convit_tiny',
    'crossvit_tiny_240',
    'cs3darknet_focus_s',
    'dla46_c',
    'hrnet_w18_small',
    pytest.param('inception_resnet_v2', marks=pytest.mark.slow),
    'inception_v3',
    'inception_v4',
    'legacy_seresnet18',
    'legacy_xception',
    pytest.param('nasnetalarge', marks=pytest.mark.slow),
    'pit_ti_224',
    pytest.param('pnasnet5large', marks=pytest.mark.slow),
    'selecsls42',
    'sequencer2d_s',
    'twins_svt_small',
]


def step(backbone, images):
    """One forward and backward pass: the maps, the gradients, and how many values were kept."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    torch.manual_seed(1)  # for drop path
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = backbone(images)
    parameters = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
    sum(m.square().mean() for m in maps).backward()
    gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
    return maps, gradients, sum(count for place, count in kept.items() if place not in parameters)


@pytest.mark.parametrize('name', [*WITHOUT, 'vit_tiny_patch16_224', 'resnet18'])
def test_the_same_from_fewer_kept(name):
    torch.manual_seed(0)
    plain = TimmBackbone(name).train()
    saving = TimmBackbone(name, grad_checkpointing=True).train()
    saving.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, *plain.canvas.minimum)
    if plain.canvas.minimum[0] < 64:
        images = torch.randn(2, 3, 64, 64)
    maps, gradients, kept = step(plain, images)
    again, others, fewer = step(saving, images)
    for m, other in zip(maps, again, strict=True):
        torch.testing.assert_close(other, m)
    assert others.keys() == gradients.keys()
    for key, gradient in gradients.items():
        torch.testing.assert_close(others[key], gradient, msg=lambda text, key=key: f'{key} {text}')
    assert fewer < 0.7 * kept


def test_a_copy_calls_its_own_layers():
    torch.manual_seed(0)
    backbone = TimmBackbone('pit_ti_224', grad_checkpointing=True).eval()
    images = torch.randn(1, 3, 224, 224)
    averaged = copy.deepcopy(backbone)  # as EMAHook does
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
        assert averaged(images)[-1].abs().sum() > 0


def test_a_chain_of_single_layers_has_no_blocks():
    with pytest.raises(BackboneError, match='chain of single layers'):
        TimmBackbone('vgg11', grad_checkpointing=True)
