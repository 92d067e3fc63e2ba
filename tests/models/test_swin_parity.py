"""The same weights in mmdet's own Swin and in ours give the same boxes.

Shown on images whose maps are whole windows in every stage (multiples of 224 pixels): where a map
must be padded to whole windows, mmdet pads before it shifts and timm after, so that tokens next
to the border see other neighbours.
"""

import re

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from vitmm.models import TimmBackbone


@pytest.fixture(scope='module')
def pair():
    import mmdet.models  # noqa: F401  (registers)

    init_default_scope('mmdet')
    torch.manual_seed(0)
    theirs = MODELS.build(dict(type='mmdet.SwinTransformer', out_indices=(0, 1, 2, 3)))
    ours = MODELS.build(
        dict(
            type='vitmm.TimmBackbone',
            model_name='swin_tiny_patch4_window7_224',
            out_norm='layer',
            # As mmdet, shift windows in the last stage too; timm does not where one covers it.
            model_kwargs=dict(always_partition=True),
        )
    )
    for norm in (theirs.norm0, theirs.norm1, theirs.norm2, theirs.norm3):
        torch.nn.init.normal_(norm.weight, 1, 0.1)
        torch.nn.init.normal_(norm.bias, 0, 0.1)
    for name, parameter in theirs.named_parameters():
        if 'relative_position_bias_table' in name:
            torch.nn.init.normal_(parameter, 0, 0.5)
    ours.load_state_dict(to_timm(theirs.state_dict()), strict=True)
    theirs.eval()  # mmdet's own returns None
    return theirs, ours.eval()


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_a_file_fills_the_norms_of_the_maps_too(pair, prefix, tmp_path):
    theirs, ours = pair
    state = {f'{prefix}{key}': value for key, value in theirs.state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'mmdet.pth')
    state = {f'{prefix}{key}': value for key, value in ours.state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'ours.pth')
    for name in ('mmdet.pth', 'ours.pth'):
        filled = TimmBackbone(
            'swin_tiny_patch4_window7_224', pretrained=str(tmp_path / name), out_norm='layer'
        )
        filled.init_weights()
        for key, value in ours.state_dict().items():
            assert torch.equal(filled.state_dict()[key], value), (name, key)


def to_timm(state):
    """mmdet's names and layouts for Swin -> timm's."""
    out = {}
    for key, value in state.items():
        if 'relative_position_index' in key:
            continue
        if re.match(r'norm\d', key):
            out[f'norms.{key[4:]}'] = value
            continue
        key = key.replace('patch_embed.projection', 'patch_embed.proj')
        key = key.replace('.attn.w_msa', '.attn').replace('.ffn.layers.0.0', '.mlp.fc1')
        key = key.replace('.ffn.layers.1', '.mlp.fc2')
        stage = re.match(r'stages\.(\d)\.(.*)', key)
        if stage:
            index, rest = int(stage[1]), stage[2]
            if rest.startswith('downsample'):
                index += 1  # timm merges patches at the start of the next stage
                value = unfold_order(value)
            key = f'layers.{index}.{rest}'
        out[f'model.{key}'] = value
    return out


def unfold_order(value):
    """mmdet merges 2 x 2 patches with unfold (channel, row, column); timm column, row, channel."""
    width = value.shape[-1]
    return (
        value.reshape(*value.shape[:-1], width // 4, 2, 2)
        .permute(*range(value.dim() - 1), -1, -2, -3)
        .reshape(value.shape)
    )


@pytest.mark.parametrize('size', [(224, 224), (224, 448), (448, 224)])
def test_maps(pair, size):
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        for a, b in zip(pair[0](images), pair[1](images), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_boxes_under_the_same_head(pair):
    theirs, ours = pair
    torch.manual_seed(1)
    fpn = MODELS.build(
        dict(
            type='mmdet.FPN',
            in_channels=[96, 192, 384, 768],
            out_channels=64,
            start_level=1,
            add_extra_convs='on_output',
            num_outs=5,
        )
    ).eval()
    pyramid = MODELS.build(
        dict(type='vitmm.FeaturePyramid', in_channels=ours.channels, in_strides=ours.strides)
    )
    head = MODELS.build(
        dict(
            type='mmdet.RetinaHead',
            num_classes=5,
            in_channels=64,
            feat_channels=64,
            stacked_convs=2,
            anchor_generator=dict(
                type='AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=3,
                ratios=[0.5, 1.0, 2.0],
                strides=[8, 16, 32, 64, 128],
            ),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            test_cfg=ConfigDict(
                nms_pre=1000,
                min_bbox_size=0,
                score_thr=0.0,
                nms=dict(type='nms', iou_threshold=0.5),
                max_per_img=100,
            ),
        )
    ).eval()
    fpn.init_weights()
    # In double precision: boxes are exponentials, which blow rounding up.
    for module in (theirs, ours, fpn, head):
        module.double()
    for layer in (head.retina_cls, head.retina_reg):
        torch.nn.init.normal_(layer.weight, 0, 0.05)
    meta = dict(img_shape=(224, 448), scale_factor=(1.0, 1.0), ori_shape=(224, 448))
    images = torch.randn(1, 3, 224, 448, dtype=torch.float64)
    found: list[InstanceData] = []
    with torch.no_grad():
        for maps in (theirs(images), pyramid(ours(images))):
            outs = head(fpn(maps))
            (result,) = head.predict_by_feat(*outs, batch_img_metas=[meta], rescale=False)
            found.append(result)
    assert len(found[0]) == len(found[1]) == 100
    assert torch.equal(found[0].labels, found[1].labels)
    torch.testing.assert_close(found[0].bboxes, found[1].bboxes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[0].scores, found[1].scores, atol=1e-4, rtol=1e-4)
