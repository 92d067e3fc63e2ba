"""Grad-CAM against what it is by calculation, and scores against the heads' own outputs."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from support import CONFIGS
from torch import nn

from vitmm.errors import ConfigError
from vitmm.inference.inputs import find_media
from vitmm.visualization.capturing import capture
from vitmm.visualization.grad_cam import grad_cam, grad_cams
from vitmm.visualization.looking import Looker
from vitmm.visualization.opening import open_model
from vitmm.visualization.scores import class_logits, score


@pytest.fixture
def opened(tiny_shapes):
    """A function: predictor of a recipe with random weights, and its first prepared image."""

    def call(recipe, name='test_resnet', **options):
        torch.manual_seed(0)
        options = {
            'data_root': str(tiny_shapes),
            'prepare_data': None,
            'model.backbone.model_name': name,
            'model.backbone.pretrained': False,
            'env_cfg.mp_cfg': {},
            **options,
        }
        predictor, _ = open_model(CONFIGS / recipe, options=options, device='cpu')
        media = find_media(f'{tiny_shapes}/JPEGImages/val_00000.jpg')
        ((_, data),) = predictor.prepare(predictor.stream(media))
        return predictor, data

    return call


def test_mean_gradient_weighs_the_maps():
    seed = torch.Generator().manual_seed(0)
    maps, gradients = torch.randn(2, 1, 3, 4, 5, generator=seed)
    expected = torch.zeros(4, 5)
    for channel in range(3):
        expected += gradients[0, channel].mean() * maps[0, channel]
    torch.testing.assert_close(grad_cam(maps, gradients)[0], expected.clamp_min(0))


def test_linear_head_on_average_pooling(opened):
    """There the weight of a channel is the head's own, over the number of cells."""
    predictor, data = opened('cls/resnet_multilabel.py')
    label = 2
    seen = Looker(predictor, labels=[label]).look(data, scored=True)
    _, cam = seen.cams[label][-1]
    maps = seen.levels[-1][1]
    weights = predictor.model.head.fc.weight[label].detach()
    expected = (weights[:, None, None] * maps).sum(0).relu() / maps[0].numel()
    assert expected.any()
    torch.testing.assert_close(cam, expected, atol=1e-7, rtol=1e-4)
    logit = weights @ maps.mean((1, 2)) + predictor.model.head.fc.bias[label]
    torch.testing.assert_close(seen.scores.scalars[label], logit)


def test_behind_a_class_token_the_map_before_is_taken(opened):
    predictor, data = opened('cls/vit_linear.py', 'test_vit', image_size=64)
    seen = Looker(predictor, labels=[0]).look(data, scored=True)
    assert [level.name for level, _ in seen.cams[0]][-1] == 'before blocks.5'
    averaged, data = opened(
        'cls/vit_linear.py', 'test_vit', **{'model.backbone.model_kwargs': dict(global_pool='avg')}
    )
    seen = Looker(averaged, labels=[0]).look(data, scored=True)
    assert [level.name for level, _ in seen.cams[0]][-1] == 'blocks.5'


def test_frozen_backbones_too(opened):
    frozen = {'model.backbone.frozen_groups': 'all'}
    predictor, data = opened('seg/convnext_fcn.py', **frozen)
    seen = Looker(predictor).look(data, scored=True)
    assert seen.scores.classes
    assert len(seen.cams[seen.scores.classes[0]]) == 4


@pytest.mark.parametrize(
    'recipe', ['vit_retinanet', 'swin_faster_rcnn', 'resnet_mask2former', 'resnet_deformable_detr']
)
def test_detectors(recipe, opened):
    predictor, data = opened(f'det/{recipe}.py', image_scale=(96, 96))
    looker = Looker(predictor, labels=[1], threshold=0.3)
    seen = looker.look(data, scored=True)
    model = predictor.model
    model.eval()
    head = getattr(model, 'roi_head', model)
    head = getattr(head, 'bbox_head', None) or model.panoptic_head
    outputs = []
    handle = head.register_forward_hook(lambda m, args, output: outputs.append(output[0]))
    inputs, sample = looker._batch(data)
    with torch.no_grad():
        model.predict(inputs, [sample])
    handle.remove()
    told = outputs[-1]
    if recipe == 'vit_retinanet':  # a channel for each anchor and class, classes in the inside
        rows = torch.cat([m[0].permute(1, 2, 0).reshape(-1, head.num_classes) for m in told])
        shares = rows.sigmoid()
    elif recipe == 'resnet_deformable_detr':
        rows = told[-1][0]
        shares = rows.sigmoid()
    else:
        rows = told if recipe == 'swin_faster_rcnn' else told[-1][0]
        shares = rows.softmax(1)
    sure = shares[:, 1] >= 0.3
    sure = sure if sure.any() else shares[:, 1] == shares[:, 1].max()
    torch.testing.assert_close(seen.scores.scalars[1], rows[sure, 1].sum(), atol=1e-3, rtol=1e-4)
    assert any(cam.any() for _, cam in seen.cams[1])


def test_segmentation_sums_over_the_predicted_region(opened):
    predictor, data = opened('seg/convnext_fcn.py', image_scale=(96, 96))
    looker = Looker(predictor)
    inputs, sample = looker._batch(data)
    with torch.no_grad():
        logits = predictor.model.encode_decode(inputs, [sample.metainfo])[0]
    height, width = sample.img_shape
    assert (height, width) != inputs.shape[-2:]  # padded
    logits = logits[:, :height, :width]
    found = score(predictor.model, 'seg', inputs, sample)
    areas = torch.bincount(logits.argmax(0).flatten(), minlength=len(logits))
    assert found.classes[0] == areas.argmax()
    for label, scalar in found.scalars.items():
        region = logits.argmax(0) == label
        torch.testing.assert_close(scalar, logits[label][region].sum(), rtol=1e-4, atol=1e-2)
        assert found.regions[label].sum() == areas[label]


def test_depth_has_no_classes():
    with pytest.raises(ConfigError, match='a model of depth has no classes'):
        score(nn.Identity(), 'depth', None, None)


def test_a_head_of_another_form_is_refused():
    with pytest.raises(ConfigError, match='SimpleNamespace gives no logits'):
        class_logits([torch.zeros(1, 7, 2, 2)], SimpleNamespace(num_classes=3))


def test_other_backbones():
    """mmdet's own, which tells no strides."""
    from mmdet.models import ResNet

    backbone = ResNet(18)
    backbone.eval()
    model = nn.Module()
    model.backbone = backbone
    with capture(model) as found:
        x = torch.randn(1, 3, 64, 96).requires_grad_()
        maps = backbone(x)
    assert [level.pitch for level in found['backbone']] == [(s, s) for s in (4, 8, 16, 32)]
    cams = grad_cams(maps[1].sum(), found['backbone'])
    assert [level.name for level, _ in cams] == ['level 0', 'level 1']


def test_checkpointed_blocks_are_run_once(opened):
    predictor, data = opened(
        'det/vit_retinanet.py', 'test_vit', **{'model.backbone.grad_checkpointing': True}
    )
    seen = Looker(predictor, labels=[0], block=-1).look(data, attention=True, scored=True)
    assert seen.attention.title.startswith('blocks.5.attn')
    assert isinstance(predictor.config, Config)
