"""Samples, regions, box losses and mask targets of a second stage are mmdet's."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import RandomSampler
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.assigners import MaxIoUAssigner, MMDetMaxIoUAssigner
from vitmm.models.halts import avoid_halts, padding, samples
from vitmm.models.halts.reads import CountReads


def boxes(count, size=60):
    corners = torch.rand(count, 2) * 80
    return torch.cat([corners, corners + 6 + torch.rand(count, 2) * size], dim=1)


def samplers(**settings):
    """mmdet's, and the same as a second stage holds it after the change."""
    holder = nn.Module()
    holder.bbox_sampler = RandomSampler(**settings)
    avoid_halts(holder)
    return RandomSampler(**settings), holder.bbox_sampler


def box_heads(**settings):
    """mmdet's, and the same after the change."""
    known = dict(type='mmdet.Shared2FCBBoxHead', in_channels=4, fc_out_channels=8, num_classes=5)
    stock = MODELS.build({**known, **settings})
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    return stock, ours


@pytest.mark.parametrize('count', [0, 7])
@pytest.mark.parametrize('add', [True, False])
def test_samples_are_mmdets_where_all_are_taken(count, add):
    stock, ours = samplers(num=1000, pos_fraction=0.9, add_gt_as_proposals=add)
    torch.manual_seed(0)
    owner = torch.randint(-1, count + 1, (60,)) if count else torch.randint(-1, 1, (60,))
    truth = InstanceData(bboxes=boxes(count), labels=torch.arange(count))
    priors = InstanceData(priors=boxes(60))
    found = []
    for sampler in (stock, ours):
        labels = torch.where(owner > 0, owner + 10, -1)  # an assigner may say so
        result = AssignResult(count, owner.clone(), torch.rand(60), labels)
        found.append(sampler.sample(result, priors, truth))
    for key in vars(found[0]):
        expected, own = (getattr(one, key) for one in found)
        if isinstance(expected, torch.Tensor):
            assert torch.equal(own, expected), key
        else:
            assert own == expected, key


def test_samples_of_a_batch_are_read_once():
    stock, ours = samplers(num=16, pos_fraction=0.25)
    truth = InstanceData(bboxes=boxes(3), labels=torch.arange(3))
    counts = []
    for sampler in (stock, ours, ours):  # the next batch's are read anew
        with CountReads() as reads:
            drawn = []
            for positives in (60, 8, 1):
                owner = torch.where(torch.arange(60) < positives, 1 + torch.arange(60) % 3, 0)
                result = AssignResult(3, owner, torch.rand(60), owner - 1)
                priors = InstanceData(priors=boxes(60))
                drawn.append((sampler.sample(result, priors, truth), owner, priors.priors))
            told = [(len(one.pos_inds), len(one.neg_inds)) for one, _, _ in drawn]
        # Of truths, which are added, there are three more.
        assert told == ([(4, 0), (4, 12), (4, 12)] if sampler is ours else told)
        for one, owner, priors in drawn:
            whole = torch.cat([truth.bboxes, priors])
            assert torch.equal(one.priors, whole[torch.cat([one.pos_inds, one.neg_inds])])
            owner = torch.cat([torch.tensor([1, 2, 3]), owner])
            assert torch.equal(one.pos_assigned_gt_inds, owner[one.pos_inds] - 1)
            assert (owner[one.neg_inds] == 0).all()
        counts.append((told, reads.count))
    assert counts[0][0] == counts[1][0]
    assert counts[0][1] > counts[1][1] == counts[2][1] == 1


ASSIGNERS = [
    dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False),
    dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0.0),
    dict(pos_iou_thr=0.5, neg_iou_thr=(0.1, 0.5), min_pos_iou=0.3),
    dict(pos_iou_thr=0.3, neg_iou_thr=0.3, min_pos_iou=0.3, ignore_iof_thr=0.5),
]


def second_stages(assigner, **sampler):
    """An assigner and a sampler of mmdet, and the same as a second stage holds them after it."""
    holder = nn.Module()
    holder.bbox_assigner = MaxIoUAssigner(**assigner)
    holder.bbox_sampler = RandomSampler(**sampler)
    avoid_halts(holder)
    overlaps = dict(type='mmdet.BboxOverlaps2D')
    stock = MMDetMaxIoUAssigner(**assigner, iou_calculator=overlaps), RandomSampler(**sampler)
    return stock, (holder.bbox_assigner, holder.bbox_sampler)


def batch(sizes):
    """Images with so many objects and proposals each, some of these near the objects."""
    images = []
    for objects, proposals in sizes:
        truth = InstanceData(bboxes=boxes(objects), labels=torch.randint(5, (objects,)))
        near = truth.bboxes + torch.randn(objects, 4)
        priors = torch.cat([boxes(proposals - len(near)), near]) if proposals else boxes(0)
        images.append((InstanceData(priors=priors), truth, InstanceData(bboxes=boxes(objects))))
    return images


SIZES = [
    [(3, 60), (7, 40), (1, 55)],
    [(3, 60), (0, 40), (4, 0)],
    [(0, 30), (0, 20)],
    [(0, 0), (2, 0)],
    [(5, 50)],
]


@pytest.mark.parametrize('together', [True, False])
@pytest.mark.parametrize('add', [True, False])
@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('assigner', ASSIGNERS)
def test_a_batch_is_assigned_and_drawn_as_mmdet_does(assigner, sizes, add, together, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setitem(padding._PAIRS, 'cpu', 10**9 if together else 1)
    settings = dict(num=1000, pos_fraction=0.9, add_gt_as_proposals=add)  # all are taken
    images, found = batch(sizes), []
    for assign, draw in second_stages(assigner, **settings):
        found.append(
            [
                draw.sample(assign.assign(priors, truth, ignored), priors, truth)
                for priors, truth, ignored in images
            ]
        )
    for expected, own in zip(*found, strict=True):
        assert own.num_pos == expected.num_pos  # what is looked at first makes all of it
        for key, value in vars(expected).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(getattr(own, key), value), key
                assert getattr(own, key).dtype == value.dtype, key
            else:
                assert getattr(own, key) == value, key
        assert vars(own).keys() - vars(expected).keys() == {'truths_sampled'}


def test_more_images_want_one_reading_and_no_more_operators():
    _, (assigner, sampler) = second_stages(ASSIGNERS[0], num=16, pos_fraction=0.25)
    counts = []
    for images in (batch([(3, 60), (0, 40)]), batch([(3, 60), (7, 40), (1, 55), (9, 30)])):
        with CountReads() as counting:
            drawn = [
                sampler.sample(assigner.assign(priors, truth, ignored), priors, truth)
                for priors, truth, ignored in images
            ]
            assert {one.num_pos + one.num_neg for one in drawn} <= {16, 17}  # no positive counts 1
        counts.append((counting.count, counting.operators))
    assert counts[0] == counts[1]
    assert counts[0][0] == 1


@pytest.mark.parametrize('add', [True, False])
def test_an_assignment_can_be_looked_at_before_and_after_the_drawing(add):
    torch.manual_seed(0)
    stock, ours = second_stages(ASSIGNERS[0], num=16, pos_fraction=0.25, add_gt_as_proposals=add)
    (priors, truth, _), found = batch([(4, 40)])[0], []
    for assigner, sampler in (stock, ours):
        results = [assigner.assign(priors, truth) for _ in range(2)]
        looked_at = results[0].max_overlaps
        for result in results:
            sampler.sample(result, priors, truth)
        found.append([looked_at, *results])
        assert results[0].num_preds == 40 + 4 * add  # Dynamic R-CNN looks then
    for expected, own in zip(*found, strict=True):
        if isinstance(expected, torch.Tensor):
            assert torch.equal(own, expected)
            continue
        for key in ('num_gts', 'gt_inds', 'max_overlaps', 'labels'):
            assert torch.equal(*(torch.as_tensor(getattr(one, key)) for one in (own, expected))), (
                key
            )


def test_a_head_may_change_an_assignment_before_the_drawing():
    torch.manual_seed(0)
    settings = dict(num=1000, pos_fraction=0.9)
    (priors, truth, _), found = batch([(4, 40)])[0], []
    for assigner, sampler in second_stages(ASSIGNERS[0], **settings):
        result = assigner.assign(priors, truth)
        result.gt_inds[result.gt_inds == 2] = -1
        result.labels = result.labels + 10
        others = InstanceData(bboxes=truth.bboxes.flip(0), labels=truth.labels)
        changed = sampler.sample(result, priors, truth)
        of_others = sampler.sample(assigner.assign(priors, truth), priors, others)
        unseen = assigner.assign(priors, truth)
        unseen.labels = torch.arange(40)
        unseen = sampler.sample(unseen, priors, truth)
        found.append((changed, of_others, unseen))
    for expected, own in zip(*found, strict=True):
        for key in ('pos_inds', 'neg_inds', 'pos_gt_labels', 'pos_gt_bboxes'):
            assert torch.equal(getattr(own, key), getattr(expected, key)), key


def test_a_failure_is_told_again(monkeypatch):
    _, (assigner, sampler) = second_stages(ASSIGNERS[0], num=16, pos_fraction=0.25)
    drawn = [
        sampler.sample(assigner.assign(priors, truth), priors, truth)
        for priors, truth, _ in batch([(3, 20), (2, 30)])
    ]
    with monkeypatch.context() as broken:
        broken.setattr(samples, 'choose', lambda *_: 1 / 0)
        for one in drawn:
            with pytest.raises(ZeroDivisionError):
                _ = one.num_pos
    assert [len(one.pos_priors) + len(one.neg_priors) for one in drawn] == [16, 16]


def test_what_was_drawn_and_dropped_is_not_drawn_later(monkeypatch):
    _, (assigner, sampler) = second_stages(ASSIGNERS[0], num=16, pos_fraction=0.25)

    def draw():
        return [
            sampler.sample(assigner.assign(priors, truth), priors, truth)
            for priors, truth, _ in batch([(3, 20), (2, 30)])
        ]

    images, choose = [], samples.choose
    monkeypatch.setattr(
        samples,
        'choose',
        lambda sampler, owner: (images.append(len(owner)), choose(sampler, owner))[1],
    )
    draw()  # by an iteration that an error ended
    drawn = draw()
    assert len(drawn[0].pos_inds) > 0 and images == [2]


def test_no_sample_at_all():
    stock, ours = box_heads()
    parts = dict.fromkeys(('pos_priors', 'neg_priors', 'pos_gt_bboxes'), boxes(0))
    none = [SimpleNamespace(**parts, pos_gt_labels=torch.zeros(0, dtype=torch.long))]
    for head in (stock, ours):
        scores, offsets = (torch.zeros(0, n, requires_grad=True) for n in (6, 20))
        losses = head.loss_and_target(scores, offsets, boxes(0), none, ConfigDict(pos_weight=-1))
        assert losses['loss_bbox']['loss_bbox'] == 0
        losses['loss_bbox']['loss_bbox'].backward()


@pytest.mark.parametrize('pos_weight', [-1, 2.5])
@pytest.mark.parametrize('counts', [[(3, 9), (0, 5), (2, 0)], [(0, 4)], [(3, 0), (1, 2)], [(0, 0)]])
def test_box_targets_are_mmdets(counts, pos_weight):
    torch.manual_seed(0)
    stock, ours = box_heads()
    results = [
        SimpleNamespace(
            pos_priors=boxes(positives),
            neg_priors=boxes(negatives),
            pos_gt_bboxes=boxes(positives),
            pos_gt_labels=torch.randint(5, (positives,)),
        )
        for positives, negatives in counts
    ]
    expected, found = (
        head.get_targets(results, ConfigDict(pos_weight=pos_weight)) for head in (stock, ours)
    )
    for own, other in zip(found, expected, strict=True):
        assert own.dtype == other.dtype
        torch.testing.assert_close(own, other)
    alone = ours.get_targets(results, ConfigDict(pos_weight=pos_weight), concat=False)
    assert [len(labels) for labels in alone[0]] == [sum(both) for both in counts]


def test_a_result_has_no_more_than_mmdets():
    _, ours = samplers(num=16, pos_fraction=0.25)
    truth = InstanceData(bboxes=boxes(3), labels=torch.arange(3))
    owner = torch.arange(60) % 4
    result = AssignResult(3, owner, torch.rand(60), owner - 1)
    sample = ours.sample(result, InstanceData(priors=boxes(60)), truth)
    with pytest.raises(AttributeError, match='no_such_thing'):
        _ = sample.no_such_thing
    assert copy.deepcopy(sample).num_pos == 4


@pytest.mark.parametrize('agnostic', [False, True])
@pytest.mark.parametrize('positives', [0, 12])
@pytest.mark.parametrize('loss', ['L1Loss', 'SmoothL1Loss', 'BalancedL1Loss'])
def test_box_losses_are_mmdets(loss, positives, agnostic):
    torch.manual_seed(0)
    stock, ours = box_heads(reg_class_agnostic=agnostic, loss_bbox=dict(type=f'mmdet.{loss}'))
    results = []
    for _ in range(2):
        truth = InstanceData(bboxes=boxes(4), labels=torch.randint(5, (4,)))
        owner = torch.zeros(40, dtype=torch.long)
        owner[:positives] = torch.randint(1, 5, (positives,))
        labels = torch.where(owner > 0, truth.labels[(owner - 1).clamp(min=0)], -1)
        result = AssignResult(4, owner, torch.rand(40), labels)
        sampler = RandomSampler(40, 0.5, add_gt_as_proposals=False)
        results.append(sampler.sample(result, InstanceData(priors=boxes(40)), truth))
    scores = torch.randn(80, 6)
    offsets = torch.randn(80, 4 if agnostic else 20)
    found = []
    for head in (stock, ours):
        inputs = [one.clone().requires_grad_() for one in (scores, offsets)]
        cfg = ConfigDict(pos_weight=-1)
        losses = head.loss_and_target(*inputs, boxes(80), results, cfg)['loss_bbox']
        sum(losses.values()).backward()
        found.append((losses, [one.grad for one in inputs]))
    (expected, gradients), (own, own_gradients) = found
    assert own.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(own[key], value, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(own_gradients, gradients, rtol=1e-4, atol=1e-8)


def test_box_losses_read_nothing():
    head = MODELS.build(dict(type='mmdet.Shared2FCBBoxHead', in_channels=4, num_classes=5))
    avoid_halts(head)
    labels = torch.randint(6, (30,))
    with CountReads() as reads:
        head.loss(
            torch.randn(30, 6),
            torch.randn(30, 20),
            boxes(30),
            labels,
            torch.ones(30),
            torch.randn(30, 4),
            torch.ones(30, 4),
        )
    assert reads.count == 0


def test_decoded_boxes_keep_mmdets_loss():
    head = MODELS.build(
        dict(
            type='mmdet.Shared2FCBBoxHead',
            in_channels=4,
            reg_decoded_bbox=True,
            loss_bbox=dict(type='mmdet.GIoULoss'),
        )
    )
    avoid_halts(head)
    assert 'loss' not in vars(head)


@pytest.mark.parametrize('clipped', [True, False])
@pytest.mark.parametrize('agnostic', [True, False])
def test_refined_boxes_are_mmdets(agnostic, clipped):
    torch.manual_seed(0)
    stock, ours = box_heads(
        reg_class_agnostic=agnostic,
        bbox_coder=dict(
            type='mmdet.DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.1, 0.0, 0.0],
            target_stds=[0.1, 0.1, 0.2, 0.2],
            clip_border=clipped,
        ),
    )
    _, sampler = samplers(num=16, pos_fraction=0.5)
    results = []
    for count in (3, 0, 2):
        truth = InstanceData(bboxes=boxes(count), labels=torch.arange(count))
        owner = torch.where(torch.arange(60) < count, 1 + torch.arange(60), 0)  # few positives
        result = AssignResult(count, owner, torch.rand(60), owner - 1)
        results.append(sampler.sample(result, InstanceData(priors=boxes(60)), truth))
    rois = torch.cat(
        [nn.functional.pad(one.priors, (1, 0), value=i) for i, one in enumerate(results)]
    )
    assert len(rois) == 48
    given = dict(
        rois=rois,
        cls_score=torch.randn(48, 6),
        bbox_pred=torch.randn(48, 4 if agnostic else 20, requires_grad=True),
        bbox_targets=stock.get_targets(results, ConfigDict(pos_weight=-1)),
    )
    metas = [dict(img_shape=shape) for shape in ((90, 100), (100, 80), (120, 120))]
    expected = stock.refine_bboxes(results, given, metas)
    with CountReads() as reads:
        found = ours.refine_bboxes(results, given, metas)
    assert reads.count == 0
    assert 30 < sum(map(len, expected)) < 48
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.bboxes, other.bboxes)


def test_no_box_is_refined_without_scores():
    head = MODELS.build(dict(type='mmdet.Shared2FCBBoxHead', in_channels=4, num_classes=5))
    avoid_halts(head)
    none = dict(cls_score=torch.zeros(0, 6), bbox_pred=torch.zeros(0, 20))
    none |= dict(rois=torch.zeros(0, 5), bbox_targets=(torch.zeros(0),))
    assert head.refine_bboxes([], none, []) is None


@pytest.mark.parametrize('sizes', [(4, 700), (4, 4), (600, 700)])  # all levels, the first, the last
def test_regions_are_mmdets(sizes):
    torch.manual_seed(0)
    stock = MODELS.build(
        dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
            out_channels=5,
            featmap_strides=[4, 8, 16, 32],
        )
    )
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    maps = [torch.randn(2, 5, 768 // s, 768 // s) for s in (4, 8, 16, 32)]
    sides = torch.linspace(*sizes, 50)[torch.randperm(50)]
    corners = torch.rand(50, 2) * (760 - sides[:, None]).clamp(min=1)
    rois = torch.cat([torch.randint(2, (50, 1)), corners, corners + sides[:, None]], dim=1)
    found = []
    for extractor in (stock, ours):
        inputs = [one.clone().requires_grad_() for one in maps]
        regions = extractor(inputs, rois, 1.1)
        regions.square().sum().backward()
        found.append((regions, [one.grad for one in inputs]))  # of each level: DDP waits for it
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-5, atol=1e-6)
    assert ours(maps, rois[:0]).shape == (0, 5, 3, 3)


@pytest.mark.parametrize('soft', [False, True])
def test_mask_targets_are_mmdets(soft):
    generator = np.random.default_rng(0)
    stock = MODELS.build(dict(type='mmdet.FCNMaskHead', num_convs=1, in_channels=2))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    cfg = ConfigDict(mask_size=14, soft_mask_target=soft)
    truths, results = [], []
    for count, positives in ((3, 9), (2, 0), (1, 2)):
        masks = (generator.random((count, 12, 15)) > 0.5).astype(np.uint8)
        masks = masks.repeat(8, axis=1).repeat(8, axis=2)
        truths.append(InstanceData(masks=BitmapMasks(masks, 96, 120)))
        corners = torch.tensor(generator.uniform(-20, 90, (positives, 2)), dtype=torch.float32)
        owner = torch.tensor(generator.integers(0, count, positives))
        priors = torch.cat([corners, corners + 30], dim=1)  # some reach beyond the image
        results.append(InstanceData(pos_priors=priors, pos_assigned_gt_inds=owner))
    expected = stock.get_targets(results, truths, cfg)
    with CountReads() as reads:
        found = ours.get_targets(results, truths, cfg)
    assert reads.count == 2  # the true masks of two images are sent, from pinned memory
    assert found.dtype == expected.dtype
    if soft:
        torch.testing.assert_close(found, expected)
    else:
        assert torch.equal(found, expected)
        assert 0 < expected.mean() < 1


def test_polygons_are_cut_as_mmdet_does():
    stock = MODELS.build(dict(type='mmdet.FCNMaskHead', num_convs=1, in_channels=2))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    outline = [np.array([5.0, 5.0, 60.0, 8.0, 30.0, 70.0])]
    truths = [InstanceData(masks=PolygonMasks([outline], 96, 120))]
    priors = torch.tensor([[4.0, 4.0, 50.0, 60.0]])
    owner = torch.zeros(1, dtype=torch.long)
    results = [InstanceData(pos_priors=priors, pos_assigned_gt_inds=owner)]
    cfg = ConfigDict(mask_size=14)
    assert torch.equal(
        ours.get_targets(results, truths, cfg), stock.get_targets(results, truths, cfg)
    )


def test_masks_are_not_copied_for_the_first_stage():
    detector = TwoStageDetector(
        backbone=dict(type='mmdet.ResNet', depth=18, base_channels=4, stem_channels=4),
        rpn_head=dict(type='mmdet.RPNHead', in_channels=32, feat_channels=8),
        train_cfg=ConfigDict(rpn=None, rpn_proposal=dict(nms_pre=9)),
        test_cfg=ConfigDict(rpn=dict(nms_pre=9)),
    )
    detector.roi_head = torch.nn.Module()  # what it gets is all that is looked at
    avoid_halts(detector)
    sample = DetDataSample(gt_instances=InstanceData(bboxes=boxes(2), labels=torch.tensor([1, 2])))
    masks = sample.gt_instances.masks = BitmapMasks(np.ones((2, 64, 64), np.uint8), 64, 64)
    seen = []

    def first_stage(maps, samples, proposal_cfg):
        seen.append(samples[0])
        return {}, []

    def second_stage(maps, proposals, samples):
        seen.append(samples[0])
        return {}

    detector.rpn_head.loss_and_predict = first_stage
    detector.roi_head.loss = second_stage
    detector.loss(torch.zeros(2, 3, 64, 64), [sample, sample])  # one twice
    first, second = (one.gt_instances for one in seen)
    assert first.labels.tolist() == [0, 0]
    assert second.labels.tolist() == [1, 2]
    assert first.masks is second.masks is masks
    assert copy.deepcopy(masks) is not masks  # later ones are copies again
