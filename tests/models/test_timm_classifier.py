"""timm's own classifier under mmpretrain's head: kept, frozen around, begun anew."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from vitmm.errors import BackboneError
from vitmm.models import TimmBackbone

SMALL = {
    'vit_tiny_patch16_224': dict(depth=2),
    'deit_tiny_distilled_patch16_224': dict(depth=2),
    'swin_tiny_patch4_window7_224': dict(embed_dim=24, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8)),
    'convnext_atto': dict(depths=(1, 1, 2, 1)),
    'resnet18': {},
    'tf_efficientnet_lite0': {},
}


def write(name, path, num_classes=11):
    """A whole timm model of random weights, and the file that has them."""
    torch.manual_seed(3)
    donor = timm.create_model(name, num_classes=num_classes, **SMALL[name]).eval()
    for parameter in donor.parameters():  # timm begins some classifiers with zeros
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    save_file(donor.state_dict(), path)
    return donor


def load(name, path, num_classes=11, **settings):
    backbone = TimmBackbone(
        name,
        pretrained=str(path),
        output='logits',
        num_classes=num_classes,
        model_kwargs=SMALL[name],
        **settings,
    )
    backbone.init_weights()
    return backbone.eval()


@pytest.mark.parametrize('name', SMALL)
def test_logits_are_timms_own(name, tmp_path):
    donor = write(name, tmp_path / 'w.safetensors')
    backbone = load(name, tmp_path / 'w.safetensors')
    assert backbone.channels == (11,) and backbone.unfilled == ()
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        (logits,) = backbone(images)
        expected = donor(images)
    assert expected.std() > 0.01  # a classifier of zeros would say nothing
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=1e-6)
    assert all(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize('name', ['deit_tiny_distilled_patch16_224', 'convnext_atto'])
def test_all_frozen_but_the_classifier(name, tmp_path):
    write(name, tmp_path / 'w.safetensors')
    backbone = load(name, tmp_path / 'w.safetensors', frozen_groups='all').train()
    learn = {n for n, p in backbone.named_parameters() if p.requires_grad}
    heads = ['head', 'head_dist'] if 'distilled' in name else ['head.fc']
    assert learn == {f'model.{h}.{kind}' for h in heads for kind in ('weight', 'bias')}


def test_a_classifier_of_other_classes_begins_anew(tmp_path):
    name = 'convnext_atto'
    donor = write(name, tmp_path / 'w.safetensors')
    backbone = load(name, tmp_path / 'w.safetensors', num_classes=4)
    assert set(backbone.unfilled) == {'head.fc.weight', 'head.fc.bias'}
    own, theirs = backbone.model.state_dict(), donor.state_dict()
    assert all(torch.equal(own[k], theirs[k]) for k in own if k not in backbone.unfilled)


def test_it_lies_as_deep_as_a_head():
    backbone = TimmBackbone('resnet18', output='logits', num_classes=3)
    assert backbone.layer_depths()['fc.weight'] == backbone.head_depth()


def test_how_timm_would_test_it():
    told = TimmBackbone('resnet50.a1_in1k', output='pooled').preprocessing
    assert told == dict(size=[288, 288], interpolation='bicubic', crop_pct=1.0, crop_mode='center')
    squashed = TimmBackbone('coat_lite_medium_384.in1k', output='pooled').preprocessing
    assert squashed['crop_mode'] == 'squash' and squashed['size'] == [384, 384]
    larger = TimmBackbone('vit_tiny_patch16_224', model_kwargs=dict(img_size=384)).preprocessing
    assert larger['size'] == [384, 384]


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(output='logits'), 'num_classes=None'),
        (dict(output='pooled', num_classes=3), "output='pooled', num_classes=3"),
        (dict(output='logits', num_classes=3, out_norm='final'), 'out_norm is for maps'),
        (dict(output='logits', num_classes=3, lora=dict(r=2)), 'lora freezes'),
        (dict(output='pooled', model_kwargs=dict(global_pool='token')), 'global_pool=.token.'),
        (dict(output='classes'), "'maps', 'pooled' or 'logits'"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(BackboneError, match=words):
        TimmBackbone('resnet18', **settings)
