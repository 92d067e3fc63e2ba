"""Losses of anchors are mmdet's, and no value is read on the way."""

import copy

import pytest
import support
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from vitmm.models.assigners import MaxIoUAssigner
from vitmm.models.halts import avoid_halts, padding
from vitmm.models.halts.anchors import inside
from vitmm.models.halts.dense import grid_priors
from vitmm.models.halts.lists import _call
from vitmm.models.halts.reads import CountReads
from vitmm.models.halts.samples import choose

ASSIGNER = dict(type='vitmm.MaxIoUAssigner', ignore_iof_thr=0.5)
RETINANET = dict(
    type='mmdet.RetinaHead',
    num_classes=3,
    in_channels=8,
    feat_channels=8,
    stacked_convs=1,
    train_cfg=dict(
        assigner=dict(**ASSIGNER, pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
        sampler=dict(type='mmdet.PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
    ),
)
RPN = dict(
    type='mmdet.RPNHead',
    in_channels=8,
    feat_channels=8,
    anchor_generator=dict(
        type='mmdet.AnchorGenerator',
        scales=[2],
        ratios=[0.5, 1.0, 2.0],
        strides=[8, 16, 32, 64, 128],
    ),
    loss_bbox=dict(type='mmdet.SmoothL1Loss', beta=1 / 9),
    train_cfg=dict(
        assigner=dict(**ASSIGNER, pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
        # More than there are: all are taken, and nothing is left to chance.
        sampler=dict(
            type='mmdet.RandomSampler', num=10**5, pos_fraction=0.5, add_gt_as_proposals=False
        ),
        allowed_border=-1,
        pos_weight=-1,
    ),
)
HEADS = {
    'retinanet': RETINANET,
    'heavy positives': {**RETINANET, 'train_cfg': {**RETINANET['train_cfg'], 'pos_weight': 2.5}},
    'softmax': {**RETINANET, 'loss_cls': dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False)},
    'balanced': {**RETINANET, 'loss_bbox': dict(type='mmdet.BalancedL1Loss')},
    'other means': {
        **RETINANET,
        'bbox_coder': dict(
            type='mmdet.DeltaXYWHBBoxCoder',
            target_means=[0.1, 0.0, -0.2, 0.0],
            target_stds=[0.1, 0.1, 0.2, 0.2],
        ),
    },
    'rpn': RPN,
}
# The second image is smaller than the batch, so that anchors of the padding do not count.
METAS = [
    dict(img_shape=(128, 192), pad_shape=(128, 192)),
    dict(img_shape=(96, 97), pad_shape=(96, 128)),
]


def boxes(count, size=60):
    corners = torch.rand(count, 2) * 80
    return torch.cat([corners, corners + 6 + torch.rand(count, 2) * size], dim=1)


def truth(count, classes):
    return InstanceData(bboxes=boxes(count), labels=torch.randint(classes, (count,)))


def losses(head, maps, truths, ignored):
    maps = [one.clone().requires_grad_() for one in maps]
    found = head.loss_by_feat(*head(maps), truths, METAS, ignored)
    total = {key: sum(value) if isinstance(value, list) else value for key, value in found.items()}
    sum(total.values()).backward()
    return total, [one.grad for one in maps]


@pytest.fixture(params=['together', 'one by one'])
def images(request, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', {'together': 10**9, 'one by one': 1}[request.param])


@pytest.mark.parametrize('ignoring', [True, False])
@pytest.mark.parametrize('counts', [(5, 9), (4, 0), (0, 0)])
@pytest.mark.parametrize('name', HEADS)
def test_losses_and_gradients_are_mmdets(name, counts, ignoring, images):
    torch.manual_seed(0)
    stock = MODELS.build(copy.deepcopy(HEADS[name]))
    stock.init_weights()
    for weights in stock.parameters():
        weights.data.add_(0.05 * torch.randn_like(weights))  # mmdet's own are next to nothing
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    maps = [torch.randn(2, 8, -(-128 // s), -(-192 // s)) for s in (8, 16, 32, 64, 128)]
    truths = [truth(count, 1 if name == 'rpn' else 3) for count in counts]
    ignored = [InstanceData(bboxes=boxes(2 * ignoring)), InstanceData(bboxes=boxes(0))]
    expected, gradients = losses(stock, maps, truths, ignored)
    found, own_gradients = losses(ours, maps, truths, ignored)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value.reshape(()), rtol=1e-5, atol=1e-7)
    for own, gradient in zip(own_gradients, gradients, strict=True):
        torch.testing.assert_close(own, gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('name', ['retinanet', 'rpn'])
def test_nothing_is_read(name):
    stock = MODELS.build(copy.deepcopy(HEADS[name]))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    maps = [torch.randn(2, 8, -(-128 // s), -(-192 // s)) for s in (8, 16, 32, 64, 128)]
    counts = []
    for head in (stock, ours):
        truths = [truth(5, 1), truth(3, 1)]
        outputs = head(maps)
        with CountReads() as reads:
            head.loss_by_feat(*outputs, truths, METAS)
        counts.append(reads.count)
    assert counts[0] >= 30  # or there is nothing to save
    assert counts[1] == 0


@pytest.mark.parametrize('name', ['retinanet', 'rpn'])
def test_more_images_want_no_more_operators(name, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', 10**9)
    head = MODELS.build(copy.deepcopy(HEADS[name]))
    avoid_halts(head)
    counts = []
    for images in (2, 8):
        maps = [torch.randn(images, 8, -(-128 // s), -(-192 // s)) for s in (8, 16, 32, 64, 128)]
        truths = [truth(count, 1) for count in range(images)]
        outputs = head(maps)
        given = *outputs, truths, METAS * (images // 2)
        counts.append(support.operators(head.loss_by_feat, *given))
    assert counts[0] == counts[1]


@pytest.mark.parametrize('shape', [(96, 97), (128, 192), (1, 1), (100, 192)])
def test_anchors_of_the_padding_are_those_that_mmdet_leaves_out(shape):
    head = MODELS.build(copy.deepcopy(RPN))
    sizes, device = (
        [(-(-128 // s), -(-192 // s)) for s in (8, 16, 32, 64, 128)],
        torch.device('cpu'),
    )
    metas = [dict(pad_shape=shape), *METAS]
    found = inside(head, sizes, metas, device)
    for own, meta in zip(found, metas, strict=True):
        expected = head.prior_generator.valid_flags(sizes, meta['pad_shape'], device)
        assert torch.equal(own, torch.cat(expected))
    assert inside(head, sizes, METAS[:1], device) is None


@pytest.mark.parametrize(
    'change',
    [
        dict(reg_decoded_bbox=True, loss_bbox=dict(type='mmdet.GIoULoss')),
        dict(train_cfg={**RETINANET['train_cfg'], 'allowed_border': 0}),
        # Each of its calls, of one level, weighs by all that it gets.
        dict(loss_cls=dict(type='mmdet.GHMC'), loss_bbox=dict(type='mmdet.GHMR')),
        dict(type='mmdet.FSAFHead', reg_decoded_bbox=True, loss_bbox=dict(type='mmdet.IoULoss')),
    ],
)
def test_other_heads_stay_as_they_are(change):
    head = MODELS.build(copy.deepcopy({**RETINANET, **change}))
    avoid_halts(head)
    assert vars(head)['loss_by_feat'].func is _call  # which calls the class's own


@pytest.mark.parametrize(
    ('positives', 'negatives', 'ratio', 'expected'),
    [
        (100, 900, -1, (16, 48)),
        (5, 900, -1, (5, 59)),
        (0, 900, -1, (0, 64)),
        (100, 10, -1, (16, 10)),
        (5, 900, 3, (5, 15)),
        (0, 900, 3, (0, 3)),
        (0, 0, -1, (0, 0)),
    ],
)
def test_so_many_are_chosen(positives, negatives, ratio, expected):
    from mmdet.models.task_modules.samplers import RandomSampler

    sampler = RandomSampler(64, 0.25, neg_pos_ub=ratio)
    owner = torch.cat([torch.full((positives,), 3), torch.zeros(negatives), torch.full((50,), -1)])
    others = torch.full_like(owner, 1)
    owner = torch.stack([others, owner[torch.randperm(len(owner))], -others]).long()
    positive, negative = choose(sampler, owner)
    most = min(16, owner.shape[1])
    assert positive.sum(dim=1).tolist() == [most, expected[0], 0]
    assert negative.sum(dim=1).tolist() == [0, expected[1], 0]
    assert (owner[positive] > 0).all() and (owner[negative] == 0).all()


def test_each_has_the_same_chance():
    from mmdet.models.task_modules.samplers import RandomSampler

    torch.manual_seed(0)
    sampler, rounds = RandomSampler(20, 0.25), 4000
    owner = torch.tensor([1] * 10 + [0] * 40 + [-1] * 10)
    # Rows at once and one after the other.
    draws = [choose(sampler, owner.expand(2, -1)) for _ in range(rounds // 2)]
    positive, negative = (torch.cat(one).float().mean(0) for one in zip(*draws, strict=True))
    for shares, members, expected in ((positive, owner > 0, 0.5), (negative, owner == 0, 15 / 40)):
        deviation = (expected * (1 - expected) / rounds) ** 0.5
        assert (shares[members] - expected).abs().max() < 4.5 * deviation
        assert not shares[~members].any()


def test_a_subclass_of_the_assigner_is_asked():
    class NoBackground(MaxIoUAssigner):
        def assign(self, *args, **kwargs):
            result = super().assign(*args, **kwargs)
            result.gt_inds[result.gt_inds == 0] = -1
            return result

    stock = MODELS.build(copy.deepcopy(RETINANET))
    stock.assigner = NoBackground(0.5, 0.4)
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    maps = [torch.randn(2, 8, -(-128 // s), -(-192 // s)) for s in (8, 16, 32, 64, 128)]
    truths = [truth(5, 3), truth(2, 3)]
    expected, found = (losses(head, maps, truths, None)[0] for head in (stock, ours))
    torch.testing.assert_close(found['loss_cls'], expected['loss_cls'].view(()))


def test_anchors_that_are_boxes_of_a_class_stay_mmdets():
    anchors = dict(type='mmdet.AnchorGenerator', strides=[8, 16, 32, 64, 128], use_box_type=True)
    anchors |= dict(ratios=[1.0], scales=[2])
    head = MODELS.build(copy.deepcopy({**RPN, 'anchor_generator': anchors}))
    avoid_halts(head)
    assert vars(head)['loss_by_feat'].func is _call
    assert 'predict_by_feat' not in vars(head)


def test_anchors_are_those_of_the_maps():
    stock = MODELS.build(RETINANET).prior_generator
    ours = copy.deepcopy(stock)
    device = torch.device('cpu')
    for sizes in ([(8, 9), (4, 5)], [(8, 9), (4, 5)], [(9, 8), (5, 4)], [(8, 9), (4, 5)]):
        sizes = [*sizes, (3, 3), (2, 2), (1, 1)]
        expected = stock.grid_priors(sizes, device=device)
        for _ in range(2):
            found = grid_priors(ours, sizes, device)
            assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_anchors_of_the_last_sizes_are_kept_and_of_no_more():
    generator, device = MODELS.build(RETINANET).prior_generator, torch.device('cpu')
    sizes = [[(side, 9), (4, 5), (3, 3), (2, 2), (1, 1)] for side in range(1, 21)]
    with torch.inference_mode():  # as validation does before more training
        first = grid_priors(generator, sizes[0], device)
    assert not any(level.is_inference() for level in first)
    for size in sizes:
        grid_priors(generator, size, device)
        assert grid_priors(generator, sizes[0], device) is first
    assert len(generator.kept) == 8
