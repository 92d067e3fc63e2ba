"""Matching, losses of queries, noisy queries and deformable attention are mmdet's."""

import copy
from functools import partial
from threading import Thread

import numpy as np
import pytest
import support
import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.layers.transformer import CdnQueryGenerator
from mmdet.models.task_modules.assigners import IoUCost
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from support import CONFIGS
from torch import nn

from vitmm.config.load import load_config
from vitmm.config.resolve import resolve
from vitmm.models.halts import avoid_halts, padding
from vitmm.models.halts.lists import Sending
from vitmm.models.halts.matching import match
from vitmm.models.halts.reads import CountReads

SIZES = [(130, 120), (160, 192), (66, 42)]
CLASSES = 5
COSTS = [
    dict(type='FocalLossCost', weight=2.0),
    dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
    dict(type='IoUCost', iou_mode='giou', weight=2.0),
]
FOCAL = dict(type='FocalLoss', use_sigmoid=True, loss_weight=1.3)
SOFTMAX = dict(type='CrossEntropyLoss', bg_cls_weight=0.1, use_sigmoid=False, class_weight=1.0)
IGNORING = dict(type='CrossEntropyLoss', use_sigmoid=True, ignore_index=3)
HEADS = {
    'a class ignored': dict(type='DETRHead', loss_cls=IGNORING),
    'DETRHead': dict(type='DETRHead', loss_cls=SOFTMAX, sync_cls_avg_factor=False),
    'ConditionalDETRHead': dict(type='ConditionalDETRHead', loss_cls=FOCAL),
    'DeformableDETRHead': dict(type='DeformableDETRHead', loss_cls=FOCAL),
    'DINOHead': dict(type='DINOHead', loss_cls=FOCAL, as_two_stage=True),
}


def truths(counts):
    """Objects of each image, and what is known of it."""
    objects, metas = [], []
    for count, (height, width) in zip(counts, SIZES, strict=False):
        corners = torch.rand(count, 2) * 0.6
        boxes = torch.cat([corners, corners + 0.05 + torch.rand(count, 2) * 0.3], dim=1)
        boxes = boxes * torch.tensor([width, height, width, height])
        objects.append(InstanceData(bboxes=boxes, labels=torch.randint(CLASSES, (count,))))
        metas.append(dict(img_shape=(height, width), batch_input_shape=(160, 192)))
    return objects, metas


def heads(kind):
    """mmdet's, and the same after the change."""
    known = dict(
        num_classes=CLASSES,
        embed_dims=8,
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0),
        train_cfg=dict(assigner=dict(type='HungarianAssigner', match_costs=COSTS)),
    )
    stock = MODELS.build(ConfigDict({**known, **HEADS[kind]}))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    return stock, ours


def losses_and_gradients(function, scores, boxes):
    scores, boxes = (one.clone().requires_grad_() for one in (scores, boxes))
    losses = function(scores, boxes.sigmoid())
    sum(loss.sum() * (1 + i) for i, loss in enumerate(losses)).backward()
    return [*losses, scores.grad, boxes.grad]


@pytest.mark.parametrize('together', [True, False])
@pytest.mark.parametrize('kind', HEADS)
@pytest.mark.parametrize('counts', [(3, 0, 5), (0, 0, 0), (1, 12, 2)], ids=str)
def test_losses_of_a_layer(kind, counts, together, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', 10**9 if together else 1)
    torch.manual_seed(0)
    stock, ours = heads(kind)
    objects, metas = truths(counts)  # more of them than the 9 queries in one image
    given = dict(batch_gt_instances=objects, batch_img_metas=metas)
    classes = stock.cls_out_channels
    scores, boxes = torch.randn(3, 9, classes), torch.randn(3, 9, 4)
    results, reads = [], []
    for head in (stock, ours):
        with CountReads() as count, Sending():
            one = partial(head.loss_by_feat_single, **given)
            results.append(losses_and_gradients(one, scores, boxes))
        reads.append(count.count)
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert reads[1] == any(counts) or kind == 'a class ignored'  # the costs


@pytest.mark.parametrize('together', [True, False])
@pytest.mark.parametrize('kind', HEADS)
@pytest.mark.parametrize('counts', [(3, 0, 5), (0, 0, 0), (1, 12, 2)], ids=str)
def test_losses_of_all_layers_read_once_for_all_of_them(kind, counts, together, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', 10**9 if together else 1)
    torch.manual_seed(0)
    stock, ours = heads(kind)
    objects, metas = truths(counts)
    given = dict(batch_gt_instances=objects, batch_img_metas=metas)
    noisy = 2 * 2 * max(counts) * (kind == 'DINOHead')  # two groups have each object twice
    scores = torch.randn(4, 3, noisy + 9, stock.cls_out_channels)
    boxes = torch.randn(4, 3, noisy + 9, 4)
    encoder = kind in ('DeformableDETRHead', 'DINOHead')  # has losses of its own
    if encoder:
        given |= dict(enc_cls_scores=torch.randn_like(scores[0]))
        given |= dict(enc_bbox_preds=torch.rand_like(boxes[0]))
    if kind == 'DINOHead':
        given |= dict(dn_meta=dict(num_denoising_queries=noisy, num_denoising_groups=2))
    results, reads = [], []
    for head in (stock, ours, ours):  # nothing is left of the last iteration
        with CountReads() as count, Sending():
            losses = partial(head.loss_by_feat, **given)
            found = losses_and_gradients(lambda *x, f=losses: [*f(*x).values()], scores, boxes)
        results.append(found)
        reads.append(count.count)
    for expected, *found in zip(*results, strict=True):
        for one in found:
            torch.testing.assert_close(one, expected.view_as(one), rtol=1e-5, atol=1e-6)
    assert reads[1] == reads[2]
    if noisy or kind not in ('a class ignored', 'DINOHead'):  # without any noisy ones mmdet reads
        assert reads[1] == any(counts) * (1 + encoder)


class OtherCost(IoUCost):
    """One that nobody knows."""


@pytest.mark.parametrize('costs', [COSTS, COSTS[:1], [COSTS[0], COSTS[2]], 'other'], ids=len)
def test_a_match_is_mmdets(costs):
    torch.manual_seed(0)
    known = COSTS if costs == 'other' else costs
    assigner = TASK_UTILS.build(dict(type='HungarianAssigner', match_costs=known))
    assigner.match_costs += [OtherCost('iou', 3.0)] if costs == 'other' else []
    objects, metas = truths((4, 0, 7))
    corners = [boxes.bboxes for boxes in truths((24, 24, 24))[0]]
    images = [
        (InstanceData(scores=torch.randn(24, CLASSES), bboxes=boxes), truth, meta)
        for boxes, truth, meta in zip(corners, objects, metas, strict=True)
    ]
    for layer, pairs in enumerate(match(assigner, images, layers=2)):
        for (found, truth, meta), (queries, own) in zip(images, pairs, strict=True):
            half = found[12 * layer : 12 * layer + 12]
            expected = assigner.assign(half, truth, meta).gt_inds
            assert expected.nonzero()[:, 0].tolist() == queries.tolist()
            assert (expected[expected > 0] - 1).tolist() == own.tolist()


@pytest.mark.parametrize('counts', [(3, 0, 5), (0, 0, 0), (1, 12, 2)], ids=str)
def test_losses_of_noisy_queries(counts):
    torch.manual_seed(0)
    stock, ours = heads('DINOHead')
    objects, metas = truths(counts)
    groups = max(1, 20 // max(1, *counts))
    queries = max(counts) * 2 * groups
    noise = dict(num_denoising_queries=queries, num_denoising_groups=groups)
    given = dict(batch_gt_instances=objects, batch_img_metas=metas, dn_meta=noise)
    scores, boxes = torch.randn(3, queries, CLASSES), torch.randn(3, queries, 4)
    results, reads = [], []
    for head in (stock, ours):
        with CountReads() as count, Sending():
            one = partial(head._loss_dn_single, **given)
            if queries:
                results.append(losses_and_gradients(one, scores, boxes))
            else:
                results.append(one(scores, boxes.sigmoid()))
        reads.append(count.count)
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert reads[1] == 0 or not queries


@pytest.mark.parametrize('counts', [(3, 0, 5), (0, 0, 0), (1, 12, 2)], ids=str)
def test_noisy_queries_lie_where_mmdets_do(counts):
    torch.manual_seed(0)
    settings = dict(num_classes=CLASSES, embed_dims=8, num_matching_queries=9)
    stock = CdnQueryGenerator(**settings, group_cfg=dict(num_dn_queries=20))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    objects, metas = truths(counts)
    samples = [
        DetDataSample(metainfo=meta, gt_instances=o) for o, meta in zip(objects, metas, strict=True)
    ]
    found = []
    for generator in (stock, ours):
        generator.label_noise_scale = 1e-9  # no label is noisy: what is drawn differs
        torch.manual_seed(1)
        with CountReads() as reads, Sending():
            labels, boxes, mask, facts = generator(samples)
        found.append((labels, boxes, mask, torch.tensor(list(facts.values()))))
    assert reads.count == 0
    expected, own = found
    for index in (0, 2, 3):
        assert torch.equal(own[index], expected[index])
    # Where a query is.
    assert torch.equal(own[1].ne(0).any(-1), expected[1].ne(0).any(-1))
    assert own[1].shape == expected[1].shape


def test_so_many_labels_are_noisy():
    torch.manual_seed(0)
    settings = dict(num_classes=CLASSES, embed_dims=1, num_matching_queries=9)
    generator = CdnQueryGenerator(**settings, label_noise_scale=0.6, group_cfg={})
    generator.label_embedding.weight.data = torch.arange(CLASSES)[:, None].float()
    avoid_halts(generator)
    labels = torch.randint(CLASSES, (2000,))
    found = generator.generate_dn_label_query(labels, num_groups=5)[:, 0]
    others = found[found != labels.repeat(10)]
    # 0.3 of them are drawn anew, of which one in five is the same: 24 % +- 3 deviations.
    assert abs(len(others) / len(found) - 0.24) < 3 * (0.24 * 0.76 / len(found)) ** 0.5
    assert others.unique().tolist() == list(range(CLASSES))


@pytest.mark.parametrize('batch_first', [True, False])
@pytest.mark.parametrize('width', [2, 4])
@pytest.mark.parametrize('padded', [True, False])
def test_deformable_attention(batch_first, width, padded):
    torch.manual_seed(0)
    stock = MultiScaleDeformableAttention(8, 2, 3, 4, dropout=0.0, batch_first=batch_first)
    for parameter in stock.parameters():
        nn.init.normal_(parameter)
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    levels = [(5, 7), (3, 4), (2, 2)]
    shapes = torch.tensor(levels)
    keys = sum(h * w for h, w in levels)
    starts = torch.tensor([0, 35, 47])
    place = (lambda x: x) if batch_first else (lambda x: x.transpose(0, 1))
    value, query, position = (place(torch.randn(2, n, 8)) for n in (keys, 6, 6))
    mask = torch.zeros(2, keys, dtype=torch.bool)
    mask[1, 20:] = padded
    given = dict(
        value=value,
        query_pos=position,
        key_padding_mask=mask if padded else None,
        reference_points=torch.rand(2, 6, 3, width),
        level_start_index=starts,
    )
    expected = stock(query, spatial_shapes=shapes, **given)
    assert torch.equal(ours(query, spatial_shapes=shapes, **given), expected)  # of unknown sizes
    known = shapes.clone()
    known.known = levels
    with CountReads() as reads:
        found = ours(query, spatial_shapes=known, **given)
    assert reads.count == 0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    known.known = levels[1:]
    with pytest.raises(AssertionError):
        ours(query, spatial_shapes=known, **given)
    given['reference_points'] = torch.rand(2, 6, 3, 3)
    with pytest.raises(ValueError, match='must be 2 or 4'):
        ours(query, spatial_shapes=known, **given)


@pytest.mark.parametrize('data', [3, 0.1, True, [1, 2], (0.1, 0.2), [[1, 2.5], [3, 4]]], ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16, torch.long])
def test_numbers_become_the_same_tensors(data, dtype):
    like = torch.zeros(1, dtype=dtype)
    for settings in ({}, {'dtype': torch.float32}, {'device': 'cpu'}):
        expected = like.new_tensor(data, **settings)
        with CountReads() as reads, Sending():
            found = like.new_tensor(data, **settings)
        assert reads.count == 0
        assert found.dtype == expected.dtype and torch.equal(found, expected)


def test_what_is_no_plain_number_is_made_as_ever():
    like = torch.zeros(1)
    with Sending():
        assert like.new_tensor([]).shape == (0,)
        assert like.new_tensor(np.ones(2)).tolist() == [1, 1]
        assert like.new_tensor([torch.tensor(2), 3]).tolist() == [2, 3]
        assert like.new_tensor([1.0], requires_grad=True).requires_grad
        assert torch._shape_as_tensor(torch.zeros(2, 3)).tolist() == [2, 3]
    assert like.to(torch.uint8).new_tensor([7]).dtype == torch.uint8


def test_what_does_not_fit_is_refused_as_ever():
    with Sending():
        with pytest.raises((RuntimeError, OverflowError)):
            torch.zeros(1, dtype=torch.uint8).new_tensor([300])
        assert torch.zeros(1).new_tensor([2**70]).item() == 2.0**70
        assert torch.zeros(1).new_tensor([1], dtype=None, device=None).dtype == torch.float32


def test_other_threads_make_tensors_as_ever():
    """Two models may train in threads of one process."""

    def make(counts):
        with CountReads() as reads:
            torch.zeros(1).new_tensor([1.0, 2.0])
        counts.append(reads.count)

    counts = []
    with Sending():
        make(counts)
        thread = Thread(target=make, args=(counts,))
        thread.start()
        thread.join()
    assert counts == [0, 1]


@pytest.mark.parametrize('kind', ['DINO', 'DeformableDETR'])
@pytest.mark.parametrize('padded', [True, False])
def test_a_detector_and_its_gradients(kind, padded, monkeypatch):
    """The whole of it, from images to gradients, on images with padding and without."""
    recipe = 'convnext_dino' if kind == 'DINO' else 'resnet_deformable_detr'
    config = resolve(load_config(CONFIGS / f'det/{recipe}.py'))
    torch.manual_seed(0)
    stock = MODELS.build(config.model).train()
    nn.init.normal_(stock.level_embed)  # mmdet leaves it as the memory was, until init_weights
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    avoid_halts(ours)  # twice is once
    objects, metas = truths((3, 4))
    if not padded:
        objects, metas = objects[1:], [dict(img_shape=(160, 192), batch_input_shape=(160, 192))]
    samples = [
        DetDataSample(metainfo=m, gt_instances=o) for o, m in zip(objects, metas, strict=True)
    ]
    images = torch.randn(len(samples), 3, 160, 192)
    if kind == 'DINO':
        for model in (stock, ours):
            model.dn_query_generator.label_noise_scale = 1e-9
        monkeypatch.setattr(torch, 'rand_like', lambda x, **_: torch.full_like(x, 0.25))
        monkeypatch.setattr(torch, 'randint_like', lambda x, *_, **__: torch.zeros_like(x))
    found = []
    for model in (stock, ours):
        found.append(support.losses_and_gradients(model, images, copy.deepcopy(samples)))
    for expected, own in zip(*found, strict=True):
        assert expected.keys() == own.keys()
        for name, value in expected.items():
            torch.testing.assert_close(own[name], value, rtol=1e-3, atol=1e-5, msg=name)
