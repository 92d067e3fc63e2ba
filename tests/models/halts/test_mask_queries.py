"""Mask2Former's losses, pixel decoder and gradients are mmdet's, and read less."""

import copy

import pytest
import torch
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.structures import InstanceData
from support import CONFIGS, losses_and_gradients

from vitmm.config.load import load_config
from vitmm.config.resolve import resolve
from vitmm.datasets import collate
from vitmm.models.halts import avoid_halts, padding
from vitmm.models.halts.lists import Sending
from vitmm.models.halts.reads import CountReads

RECIPES = ['det/resnet_mask2former', 'seg/convnext_mask2former']


@pytest.fixture(scope='module', params=RECIPES)
def recipe(request, tiny_shapes):
    """A recipe's data, its model as mmdet has it, and the same after the change."""
    config = load_config(CONFIGS / f'{request.param}.py')
    config.merge_from_dict({'data_root': str(tiny_shapes), 'prepare_data': None})
    config = resolve(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        torch.manual_seed(0)
        stock = MODELS.build(config.model).train()
        ours = copy.deepcopy(stock)
        avoid_halts(ours)
        avoid_halts(ours)  # twice is once
        yield DATASETS.build(config.train_dataloader.dataset), stock, ours


def head(model):
    head = getattr(model, 'panoptic_head', None) or model.decode_head
    with torch.no_grad():  # as after some training: no class is certain
        head.cls_embed.weight.normal_()
    return head


def test_losses_and_gradients_of_a_model(recipe):
    data, *models = recipe
    batch = models[0].data_preprocessor(collate([data[0], data[1]]), training=True)
    found, reads = [], []
    for model in models:
        torch.manual_seed(1)  # points are drawn
        with CountReads() as count:
            found.append(losses_and_gradients(model, **copy.deepcopy(batch)))
        reads.append(count.count)
    for expected, own in zip(*found, strict=True):
        assert expected.keys() == own.keys()
        for name, value in expected.items():
            torch.testing.assert_close(own[name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert reads[1] < reads[0] / 4


@pytest.mark.parametrize('together', [True, False])
@pytest.mark.parametrize('counts', [(3, 0), (0, 0), (2, 150)], ids=str)
def test_losses_of_a_layer(recipe, counts, together, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', 10**9 if together else 1)
    _, *models = recipe
    stock, ours = map(head, models)
    torch.manual_seed(0)
    queries = stock.num_queries  # fewer than 150
    objects = [
        InstanceData(
            labels=torch.randint(stock.num_classes, (count,)),
            masks=torch.randint(2, (count, 32, 48)),
        )
        for count in counts
    ]
    scores = torch.randn(2, queries, stock.num_classes + 1)
    masks = torch.randn(2, queries, 8, 12)
    found, reads = [], []
    for one in (stock, ours):
        given = [part.clone().requires_grad_() for part in (scores, masks)]
        torch.manual_seed(1)
        with CountReads() as count, Sending():
            losses = one._loss_by_feat_single(*given, objects, [{}, {}])
        reads.append(count.count)
        sum(loss.sum() * (1 + i) for i, loss in enumerate(losses)).backward()
        found.append([*losses, *(part.grad for part in given)])
    for expected, own in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-6)
    assert reads[1] == any(counts) < reads[0]


@pytest.mark.parametrize('size', [(64, 96), (96, 32)], ids=str)
def test_maps_of_the_pixel_decoder(recipe, size):
    _, *models = recipe
    decoders = [head(model).pixel_decoder for model in models]
    torch.manual_seed(0)
    channels = [conv.in_channels for conv in _inputs(decoders[0])]
    levels = [
        torch.randn(2, width, size[0] // stride, size[1] // stride)
        for width, stride in zip(channels, decoders[0].strides, strict=True)
    ]
    found = []
    for decoder in decoders:
        with CountReads() as reads:
            found.append(decoder(levels))
    assert reads.count == 0
    (expected, expected_maps), (own, maps) = found
    torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-6)
    assert len(maps) == len(expected_maps)
    for one, other in zip(maps, expected_maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def _inputs(decoder):
    """The convolutions that take the levels, the largest map's first."""
    lateral = [module.conv for module in decoder.lateral_convs]
    return [*lateral, *[module.conv for module in decoder.input_convs][::-1]]
