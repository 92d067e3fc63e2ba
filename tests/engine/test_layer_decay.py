import pytest
import timm
import torch
from mmengine.optim import build_optim_wrapper
from timm.optim import param_groups_layer_decay
from torch import nn

from vitmm.errors import ConfigError
from vitmm.models import TimmBackbone


class Classifier(nn.Module):
    def __init__(self, name, **kwargs):
        super().__init__()
        self.backbone = TimmBackbone(name, output='pooled', **kwargs)
        self.head = nn.Linear(self.backbone.channels[0], 5)


def build(model, lr=1e-3, weight_decay=0.05, **paramwise):
    return build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            constructor='vitmm.LayerDecayConstructor',
            optimizer=dict(type='AdamW', lr=lr, weight_decay=weight_decay),
            paramwise_cfg=paramwise,
        ),
    )


def by_parameter(groups, key):
    return {id(p): group[key] for group in groups for p in group['params']}


@pytest.mark.parametrize(
    'name', ['vit_tiny_patch16_224', 'convnext_atto', 'swin_tiny_patch4_window7_224', 'resnet18']
)
def test_rates_and_decay_are_those_of_timm(name):
    model = Classifier(name)
    whole = timm.create_model(name, num_classes=5)
    theirs = param_groups_layer_decay(
        whole, weight_decay=0.05, no_weight_decay_list=whole.no_weight_decay()
        if hasattr(whole, 'no_weight_decay') else (), layer_decay=0.7
    )  # fmt: skip
    scale, decay = by_parameter(theirs, 'lr_scale'), by_parameter(theirs, 'weight_decay')
    groups = build(model, layer_decay=0.7).param_groups
    rates, decays = by_parameter(groups, 'lr'), by_parameter(groups, 'weight_decay')
    expected = dict(whole.named_parameters())
    for key, parameter in model.backbone.model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(1e-3 * scale[id(expected[key])]), key
        assert decays[id(parameter)] == pytest.approx(decay[id(expected[key])]), key
    assert rates[id(model.head.weight)] == 1e-3
    assert {id(p) for p in model.parameters()} <= rates.keys()


def test_a_vit_by_the_formula_of_its_paper():
    # BEiT, MAE: scale = decay ** (num_layers + 1 - layer), the stem being layer 0.
    model = Classifier('vit_tiny_patch16_224')
    rates = by_parameter(build(model, layer_decay=0.65).param_groups, 'lr')
    timm_model = model.backbone.model
    assert rates[id(timm_model.cls_token)] == pytest.approx(1e-3 * 0.65**13)
    assert rates[id(timm_model.blocks[0].attn.qkv.weight)] == pytest.approx(1e-3 * 0.65**12)
    assert rates[id(timm_model.blocks[11].attn.qkv.weight)] == pytest.approx(1e-3 * 0.65)


def test_by_stage():
    model = Classifier('convnext_atto')
    rates = by_parameter(build(model, layer_decay=0.5, by='stage').param_groups, 'lr')
    stages = model.backbone.model.stages
    seen = [{rates[id(p)] for p in stage.parameters()} for stage in stages]
    assert all(len(rates_of_stage) == 1 for rates_of_stage in seen)
    assert [r.pop() / 1e-3 for r in seen] == pytest.approx([0.5**4, 0.5**3, 0.5**2, 0.5])


def test_custom_keys_come_on_top():
    model = Classifier('resnet18')
    groups = build(
        model,
        layer_decay=0.5,
        min_scale=0.3,
        custom_keys={'head': dict(lr_mult=10), 'conv1': dict(decay_mult=0.0)},
    ).param_groups
    rates, decays = by_parameter(groups, 'lr'), by_parameter(groups, 'weight_decay')
    assert rates[id(model.head.weight)] == pytest.approx(1e-2)
    assert rates[id(model.backbone.model.conv1.weight)] == pytest.approx(1e-3 * 0.3)
    assert decays[id(model.backbone.model.conv1.weight)] == 0


def test_frozen_parameters_keep_a_group_and_stay_as_they_are():
    model = Classifier('vit_tiny_patch16_224', frozen_groups=3)
    wrapper = build(model, layer_decay=0.9)
    before = {k: p.clone() for k, p in model.named_parameters()}
    loss = model.head(model.backbone(torch.randn(2, 3, 32, 32))[0]).square().sum()
    wrapper.update_params(loss)
    frozen = [k for k, p in model.named_parameters() if not p.requires_grad]
    assert frozen
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, before[key]) == (key in frozen), key
    assert {id(p) for p in model.parameters()} <= by_parameter(wrapper.param_groups, 'lr').keys()


def test_models_without_a_matcher_of_timm():
    for name in ('pit_ti_224', 'poolformer_s12', 'csatv2'):
        backbone = TimmBackbone(name)
        assert not hasattr(backbone.model, 'group_matcher')
        depths = backbone.layer_depths()
        assert depths.keys() == dict(backbone.model.named_parameters()).keys()
        assert set(depths.values()) == set(range(max(depths.values()) + 1))
        assert max(depths.values()) > 4
        coarse = backbone.layer_depths(coarse=True)
        assert 2 <= max(coarse.values()) <= 6


@pytest.mark.parametrize(
    ('paramwise', 'words'),
    [
        (dict(decay_rate=0.7), 'decay_rate'),
        (dict(layer_decay=1.5), 'up to 1'),
        (dict(by='block'), "'stage'"),
    ],
)
def test_bad_settings(paramwise, words):
    with pytest.raises(ConfigError, match=words):
        build(Classifier('resnet18'), **paramwise)


def test_a_backbone_that_does_not_tell():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Linear(2, 2)

    with pytest.raises(ConfigError, match='TimmBackbone'):
        build(Plain(), layer_decay=0.9)
