"""Weights of other codes compute in timm's model what they compute in their own."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

from vitmm.models import TimmBackbone
from vitmm.models.backbones import timm_weights

VIT = dict(img_size=32, depth=3, embed_dim=48, num_heads=3, mlp_ratio=2)
SWIN = dict(embed_dim=24, depths=(2, 1, 2, 1), num_heads=(1, 2, 4, 8))
CONVNEXT = dict(dims=(8, 16, 24, 32), depths=(2, 1, 2, 1))


@dataclass
class Pair:
    """Another code's model, and the timm model that is the same one."""

    theirs: nn.Module
    name: str
    size: int = 64
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    layout: str = ''
    rename: dict[str, str] = field(default_factory=dict)  # to the names that released files have
    same_eps: bool = False  # the two codes differ in those of their norms
    settings: dict[str, Any] = field(default_factory=lambda: dict(output='pooled'))


def without(model: nn.Module, **parts: nn.Module) -> nn.Module:
    for name, part in parts.items():
        setattr(model, name, part)
    return model


# ---------------------------------------------------------------------------------- torchvision


def tv_vit():
    model = torchvision.models.VisionTransformer(32, 16, 3, 3, 48, 96)
    model = without(model, heads=nn.Identity())
    return Pair(model, 'vit_base_patch16_224', 32, VIT, layout='torchvision ViT')


def tv_vit_as_released():
    pair = tv_vit()
    pair.rename = {'mlp.0': 'mlp.linear_1', 'mlp.3': 'mlp.linear_2'}
    return pair


def tv_swin():
    model = torchvision.models.SwinTransformer(
        [4, 4], SWIN['embed_dim'], SWIN['depths'], SWIN['num_heads'], [7, 7]
    )
    model = without(model, head=nn.Identity())
    return Pair(model, 'swin_tiny_patch4_window7_224', 224, SWIN, layout='torchvision Swin')


def tv_swin_v2():
    model = torchvision.models.SwinTransformer(
        [4, 4],
        SWIN['embed_dim'],
        SWIN['depths'],
        SWIN['num_heads'],
        [8, 8],
        block=SwinTransformerBlockV2,
        downsample_layer=PatchMergingV2,
    )
    model = without(model, head=nn.Identity())
    return Pair(model, 'swinv2_tiny_window8_256', 256, SWIN, layout='torchvision Swin')


def tv_convnext():
    stages = zip(CONVNEXT['dims'], (*CONVNEXT['dims'][1:], None), CONVNEXT['depths'], strict=True)
    model = torchvision.models.ConvNeXt([CNBlockConfig(*stage) for stage in stages])
    model = without(model, classifier=model.classifier[:2])
    return Pair(model, 'convnext_tiny', 64, CONVNEXT, layout='torchvision ConvNeXt')


def tv_resnet():
    return Pair(without(torchvision.models.resnet18(), fc=nn.Identity()), 'resnet18', layout='timm')


def tv_efficientnet():
    model = without(torchvision.models.efficientnet_b0(), classifier=nn.Identity())
    return Pair(model, 'efficientnet_b0', layout='torchvision EfficientNet')


def tv_mobilenet_v2():
    model = without(torchvision.models.mobilenet_v2(), classifier=nn.Identity())
    return Pair(model, 'mobilenetv2_100', layout='torchvision EfficientNet')


def tv_mobilenet_v3():
    model = torchvision.models.mobilenet_v3_small()
    model = without(model, classifier=model.classifier[:2])
    return Pair(model, 'mobilenetv3_small_100', same_eps=True, layout='torchvision EfficientNet')


def tv_mnasnet():
    model = without(torchvision.models.mnasnet1_0(), classifier=nn.Identity())
    return Pair(model, 'mnasnet_100', layout='torchvision EfficientNet')


def tv_regnet():
    model = without(torchvision.models.regnet_y_400mf(), fc=nn.Identity())
    return Pair(model, 'regnety_004', layout='converted by timm')


# ------------------------------------------------------------------------------------ OpenMMLab

LAST_MAP = dict(out_indices=(2,), out_norm='final')
MM_VIT = dict(embed_dims=48, num_layers=3, num_heads=3, feedforward_channels=96)
MM_SWIN = dict(embed_dims=24, depths=(2, 1, 2, 1), num_heads=(1, 2, 4, 8))
MM_CONVNEXT = dict(channels=CONVNEXT['dims'], depths=CONVNEXT['depths'])
MMSEG_VIT = dict(
    img_size=(32, 32),
    embed_dims=48,
    num_layers=3,
    num_heads=3,
    mlp_ratio=2,
    final_norm=True,
    norm_cfg=dict(type='LN', eps=1e-6),
)


def mmpretrain(kind, *args, **kwargs):
    import mmpretrain.models

    return getattr(mmpretrain.models.backbones, kind)(*args, **kwargs)


def mmseg(kind, **kwargs):
    import mmseg.models

    return getattr(mmseg.models.backbones, kind)(**kwargs)


def mmdet(kind, **kwargs):
    import mmdet.models

    return getattr(mmdet.models.backbones, kind)(**kwargs)


def mm_vit():
    model = mmpretrain('VisionTransformer', MM_VIT, img_size=32)
    return Pair(model, 'vit_base_patch16_224', 32, VIT, layout='OpenMMLab ViT')


def mm_deit3():
    model = mmpretrain('DeiT3', MM_VIT, img_size=32)
    for layer in model.layers:
        layer.ln2 = layer.ln1  # mmpretrain runs the first norm twice, unlike DeiT III
    return Pair(model, 'deit3_small_patch16_224', 32, VIT, layout='OpenMMLab ViT')


def mm_beit():
    model = mmpretrain('BEiTViT', MM_VIT, img_size=32, layer_scale_init_value=0.1)
    return Pair(model, 'beit_base_patch16_224', 32, VIT, layout='OpenMMLab ViT')


def mmseg_vit():
    model = mmseg('VisionTransformer', **MMSEG_VIT)
    return Pair(model, 'vit_base_patch16_224', 32, VIT, 'OpenMMLab ViT', settings=LAST_MAP)


def mmseg_beit():
    model = mmseg('BEiT', **MMSEG_VIT, init_values=0.1, qv_bias=True)
    vit = {**VIT, 'global_pool': 'token'}
    return Pair(model, 'beit_base_patch16_224', 32, vit, 'OpenMMLab ViT', settings=LAST_MAP)


def mmseg_mae():
    model = mmseg('MAE', **MMSEG_VIT, init_values=0.1)
    vit = {**VIT, 'global_pool': 'token', 'use_abs_pos_emb': True}
    return Pair(model, 'beit_base_patch16_224', 32, vit, 'OpenMMLab ViT', settings=LAST_MAP)


def mm_swin():
    model = mmpretrain('SwinTransformer', MM_SWIN, img_size=224)
    return Pair(model, 'swin_tiny_patch4_window7_224', 224, SWIN, layout='OpenMMLab Swin')


def mm_swin_v2():
    arch = {**MM_SWIN, 'extra_norm_every_n_blocks': 0}
    model = mmpretrain('SwinTransformerV2', arch, img_size=256, window_size=8)
    return Pair(model, 'swinv2_tiny_window8_256', 256, SWIN, layout='OpenMMLab Swin V2')


def mmdet_swin():
    model = mmdet('SwinTransformer', **MM_SWIN, out_indices=(3,))
    settings = {**SWIN, 'always_partition': True}  # see test_swin_parity
    return Pair(model, 'swin_tiny_patch4_window7_224', 224, settings, layout='OpenMMLab Swin')


def mmseg_swin():
    model = mmseg('SwinTransformer', **MM_SWIN, out_indices=(3,))
    settings = {**SWIN, 'always_partition': True}
    return Pair(model, 'swin_tiny_patch4_window7_224', 224, settings, layout='OpenMMLab Swin')


def mm_convnext():
    model = mmpretrain('ConvNeXt', MM_CONVNEXT)
    return Pair(model, 'convnext_tiny', 64, CONVNEXT, layout='Facebook or OpenMMLab ConvNeXt')


def mm_convnext_v2():
    model = mmpretrain('ConvNeXt', MM_CONVNEXT, use_grn=True, layer_scale_init_value=0.0)
    return Pair(model, 'convnextv2_tiny', 64, CONVNEXT, layout='Facebook or OpenMMLab ConvNeXt')


def mm_resnet():
    return Pair(mmpretrain('ResNet', depth=18), 'resnet18', layout='timm')


def mmdet_resnet():
    return Pair(mmdet('ResNet', depth=18), 'resnet18', layout='timm')


def mm_resnet_d():
    return Pair(mmpretrain('ResNetV1d', depth=50), 'resnet50d', layout='OpenMMLab ResNet')


def mmseg_resnet_c():
    return Pair(mmseg('ResNetV1c', depth=50), 'resnet50c', layout='OpenMMLab ResNet')


def mm_seresnet():
    return Pair(mmpretrain('SEResNet', depth=50), 'seresnet50', layout='OpenMMLab ResNet')


def mm_regnet():
    return Pair(mmpretrain('RegNet', 'regnetx_400mf'), 'regnetx_004', layout='OpenMMLab RegNet')


def mm_efficientnet():
    model = mmpretrain('EfficientNet', 'b0')
    return Pair(model, 'tf_efficientnet_b0', layout='OpenMMLab EfficientNet')


def mm_efficientnet_v2():
    model = mmpretrain('EfficientNetV2', 'b0')
    return Pair(model, 'tf_efficientnetv2_b0', layout='OpenMMLab EfficientNet')


def mmdet_efficientnet():
    model = mmdet('EfficientNet', arch='b0', out_indices=(6,))
    return Pair(model, 'tf_efficientnet_b0', same_eps=True, layout='OpenMMLab EfficientNet')


def mm_mobilenet_v2():
    return Pair(mmpretrain('MobileNetV2'), 'mobilenetv2_100', layout='OpenMMLab EfficientNet')


def mm_mobilenet_v3():
    return Pair(
        mmpretrain('MobileNetV3', 'small'),
        'mobilenetv3_small_100',
        same_eps=True,
        layout='OpenMMLab EfficientNet',
        settings=dict(out_indices=(4,)),
    )


EVA02 = dict(embed_dims=48, num_layers=3, num_heads=3, feedforward_channels=128)


def eva02(name, **settings):
    model = mmpretrain(
        'ViTEVA02', EVA02, img_size=28, patch_size=14, out_type='featmap', **settings
    )
    vit = {**VIT, 'img_size': 28, 'mlp_ratio': 8 / 3, 'global_pool': 'token'}
    # mmpretrain turns by other angles than EVA-02 did, whose released weights it converts.
    angles = timm.create_model(name, **vit).rope.get_embed((2, 2))
    model.rope.freqs_sin, model.rope.freqs_cos = angles.chunk(2, -1)
    return Pair(model, name, 28, vit, 'OpenMMLab EVA-02', same_eps=True, settings=LAST_MAP)


def mm_eva02():
    return eva02('eva02_tiny_patch14_224')


def mm_eva02_large():
    return eva02('eva02_base_patch14_224', sub_ln=True)


def mmdet_pvt():
    model = mmdet(
        'PyramidVisionTransformerV2',
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        out_indices=(3,),
    )
    return Pair(model, 'pvt_v2_b0', same_eps=True, layout='OpenMMLab PVT v2')


TORCHVISION = [f for n, f in list(globals().items()) if n.startswith('tv_')]
OPENMMLAB = [f for n, f in list(globals().items()) if n.startswith('mm')
             and n not in ('mmpretrain', 'mmseg', 'mmdet')]  # fmt: skip


def shake(model):
    """Random values for what an initialisation leaves at 0, at 1 or alike in every layer."""
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if not value.is_floating_point():
                continue
            if name.endswith('running_var'):
                value.uniform_(0.5, 1.5)
            elif name.endswith('relative_position_bias_table'):
                value.normal_()
            elif value.dim() == 1 or 'pos_embed' in name:
                value.add_(torch.randn_like(value), alpha=0.1)


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(timm_weights, 'print_log', lambda text, **_: lines.append(text))
    return lines


@pytest.mark.parametrize('make', [*TORCHVISION, *OPENMMLAB], ids=lambda f: f.__name__)
def test_same_features(make, tmp_path, log):
    torch.manual_seed(0)
    pair = make()
    shake(pair.theirs)
    if pair.layout == 'OpenMMLab EVA-02':
        for layer in pair.theirs.layers:
            layer.attn.qkv.bias.data.unflatten(0, (3, -1))[1] = 0  # as in every release
    state = dict(sorted(pair.theirs.state_dict().items()))  # as .safetensors files are
    for old, new in pair.rename.items():
        state = {key.replace(old, new): value for key, value in state.items()}
    if make in OPENMMLAB:
        state = {'state_dict': {f'backbone.{key}': value for key, value in state.items()}}
    torch.save(state, tmp_path / 'w.pth')

    ours = TimmBackbone(
        pair.name,
        pretrained=str(tmp_path / 'w.pth'),
        model_kwargs=pair.model_kwargs,
        **pair.settings,
    )
    ours.init_weights()
    assert f'({pair.layout}' in log[0] and 'not in the file' not in log[0]
    for model in (pair.theirs, ours):
        model.double()
        model.eval()
        for module in model.modules():
            if pair.same_eps and hasattr(module, 'eps'):
                module.eps = 1e-5
    images = torch.randn(2, 3, pair.size, pair.size, dtype=torch.float64)
    with torch.no_grad():
        expected, (found,) = pair.theirs(images), ours(images)
    if not isinstance(expected, torch.Tensor):
        expected = expected[-1]
    if found.dim() == 2 and expected.dim() == 4:
        expected = expected.mean((2, 3))
    torch.testing.assert_close(found, expected)


# --------------------------------------------------- original releases, as their files name things


def mae(state):
    extra = {'mask_token': torch.zeros(1, 1, 8), 'decoder_blocks.0.norm1.weight': torch.ones(8)}
    return {'model': {**state, **extra}}


def dinov2(state):
    return {**state, 'mask_token': torch.zeros(1, 48)}


def dinov2_with_registers(state):
    state = dinov2(state)
    first = torch.full((1, 1, 48), 0.5)  # the position of the class token
    state['register_tokens'] = state.pop('reg_token')
    state['cls_token'] = state['cls_token'] - first
    state['pos_embed'] = torch.cat([first, state['pos_embed']], dim=1)
    return state


def dinov2_as_trained(state):
    state = {f'backbone.{re.sub(r"^blocks.", "blocks.0.", k)}': v for k, v in dinov2(state).items()}
    state['dino_head.last_layer.weight'] = torch.ones(3, 3)
    student = {key: torch.zeros_like(value) for key, value in state.items()}
    return {'student': student, 'teacher': state, 'iteration': 7}


def dinov3(state):
    state = {re.sub(r'gamma_(\d)', r'ls\1.gamma', key): value for key, value in state.items()}
    state['storage_tokens'] = state.pop('reg_token')
    for block in range(3):
        state[f'blocks.{block}.attn.qkv.bias'] = torch.zeros(144)
        state[f'blocks.{block}.attn.qkv.bias_mask'] = torch.ones(144)
    return {**state, 'mask_token': torch.zeros(1, 48), 'rope_embed.periods': torch.ones(4)}


def beit(state):
    index = {f'blocks.{i}.attn.relative_position_index': torch.zeros(5, 5) for i in range(3)}
    return {'model': {**state, **index}}


def beit_as_pretrained(state):
    name = 'relative_position_bias_table'
    shared = {key: value for key, value in state.items() if not key.endswith(name)}
    shared[f'rel_pos_bias.{name}'] = state[f'blocks.0.attn.{name}']
    return {'model': {**shared, 'mask_token': torch.zeros(1, 1, 48)}}


def swin(state):
    def name(key):
        key = re.sub(
            r'^layers.(\d).downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample', key
        )
        return key.replace('head.fc.', 'head.')

    mask = {'layers.0.blocks.1.attn_mask': torch.zeros(64, 49, 49)}
    return {'model': {**{name(key): value for key, value in state.items()}, **mask}}


def convnext(state):
    released = {}
    for key, value in state.items():
        if key.endswith('mlp.grn.weight') or key.endswith('mlp.grn.bias'):
            value = value.view(1, 1, 1, -1)
        for ours, theirs in (
            (r'^stem\.', 'downsample_layers.0.'),
            (r'^stages\.(\d)\.downsample\.', r'downsample_layers.\1.'),
            (r'\.blocks\.', '.'),
            (r'\.conv_dw\.', '.dwconv.'),
            (r'\.mlp\.fc(\d)', r'.pwconv\1'),
            (r'\.mlp\.grn\.weight', '.grn.gamma'),
            (r'\.mlp\.grn\.bias', '.grn.beta'),
            (r'^head\.norm\.', 'norm.'),
            (r'^head\.fc\.', 'head.'),
        ):
            key = re.sub(ours, theirs, key)
        released[key] = value
    return {'model': released}


def convnext_v2_as_pretrained(state):
    released = convnext(state)['model']
    return {'model': {**released, 'decoder.0.pwconv1.weight': torch.ones(8, 8)}}


ORIGINALS = [
    (mae, 'vit_base_patch16_224', VIT),
    (dinov2, 'vit_small_patch14_dinov2', {**VIT, 'img_size': 28}),
    (dinov2_with_registers, 'vit_small_patch14_reg4_dinov2', {**VIT, 'img_size': 28}),
    (dinov2_as_trained, 'vit_small_patch14_dinov2', {**VIT, 'img_size': 28}),
    (dinov3, 'vit_small_patch16_dinov3', VIT),
    (beit, 'beit_base_patch16_224', VIT),
    (beit_as_pretrained, 'beit_base_patch16_224', VIT),
    (swin, 'swin_tiny_patch4_window7_224', SWIN),
    (swin, 'swinv2_tiny_window8_256', SWIN),
    (convnext, 'convnext_tiny', CONVNEXT),
    (convnext, 'convnextv2_tiny', CONVNEXT),
    (convnext_v2_as_pretrained, 'convnextv2_tiny', CONVNEXT),
]


@pytest.mark.parametrize('prefix', ['', 'module.backbone.'])
@pytest.mark.parametrize('release, name, settings', ORIGINALS)
def test_originals(release, name, settings, prefix, tmp_path, log):
    torch.manual_seed(0)
    donor = timm.create_model(name, num_classes=7, **settings)
    shake(donor)
    if release is beit_as_pretrained:
        for block in donor.blocks:
            table = donor.blocks[0].attn.relative_position_bias_table
            block.attn.relative_position_bias_table = table
    file = release(dict(donor.state_dict()))
    if prefix and 'model' in file:
        file = file['model']
    if prefix and 'teacher' not in file:
        file = {prefix + key: value for key, value in file.items()}
    torch.save(file, tmp_path / 'w.pth')
    ours = TimmBackbone(
        name,
        pretrained=str(tmp_path / 'w.pth'),
        out_indices=(0, 1),  # what lies behind is pruned, the last norm too
        model_kwargs=settings,
    )
    ours.init_weights()
    assert 'not in the file' not in log[0]
    state = donor.state_dict()
    for key, value in ours.model.state_dict().items():
        torch.testing.assert_close(value, state[key], msg=lambda text, key=key: f'{key}: {text}')
