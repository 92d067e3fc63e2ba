"""A region proposal network's proposals are mmdet's, and no value is read on the way."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from vitmm.models.halts import avoid_halts, proposals
from vitmm.models.halts.reads import CountReads

RPN = dict(
    type='mmdet.RPNHead',
    in_channels=8,
    feat_channels=8,
    anchor_generator=dict(
        type='mmdet.AnchorGenerator',
        scales=[2],
        ratios=[0.5, 1.0, 2.0],
        strides=[8, 16, 32],
    ),
)
OTHER_MEANS = dict(
    type='mmdet.DeltaXYWHBBoxCoder',
    target_means=[0.1, 0.0, -0.2, 0.0],
    target_stds=[0.5, 0.5, 0.2, 0.2],
)
UNCLIPPED = dict(type='mmdet.DeltaXYWHBBoxCoder', clip_border=False)
CFG = dict(nms_pre=200, max_per_img=100, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)
METAS = [dict(img_shape=(120, 150)), dict(img_shape=(128, 90))]


def heads(**settings):
    stock = MODELS.build({**RPN, **settings})
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    assert 'predict_by_feat' in vars(ours)
    return stock, ours


def maps(device='cpu', ties=False):
    generator = torch.Generator().manual_seed(0)
    sizes = ((16, 20), (8, 10), (4, 5))
    scores = [torch.randn(2, 3, *size, generator=generator) for size in sizes]
    if ties:  # as bfloat16 makes them
        scores = [one.bfloat16().float() for one in scores]
    offsets = [torch.randn(2, 12, *size, generator=generator) for size in sizes]
    return tuple([one.to(device) for one in kind] for kind in (scores, offsets))


@pytest.fixture(params=['by level', 'at once', pytest.param('cuda', marks=pytest.mark.cuda)])
def device(request, monkeypatch):
    if request.param == 'at once':  # the GPU's way
        monkeypatch.setattr(proposals, 'by_level', proposals.at_once)
    return 'cuda' if request.param == 'cuda' else 'cpu'


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('cfg', [{}, {'nms_pre': 0}, {'min_bbox_size': 12}, {'min_bbox_size': -1}])
@pytest.mark.parametrize('coder', [None, OTHER_MEANS, UNCLIPPED])
def test_proposals_are_mmdets(coder, cfg, ties, device):
    stock, ours = heads(**({'bbox_coder': coder} if coder else {}))
    for kept in (100, 10**4):  # cut off, and all that are left
        settings = ConfigDict({**CFG, 'max_per_img': kept, **cfg})
        # On one device: each has an order of its own for equal scores.
        expected, found = (
            head.predict_by_feat(*maps(device, ties), batch_img_metas=METAS, cfg=settings)
            for head in (stock, ours)
        )
        for one, other in zip(found, expected, strict=True):
            assert len(one) == len(other) > 50
            if device == 'cuda':
                torch.testing.assert_close(one.bboxes, other.bboxes)
            else:
                assert torch.equal(one.bboxes, other.bboxes)
            assert torch.equal(one.labels, other.labels)
            # A sigmoid's last bit depends on where in memory the number lies.
            torch.testing.assert_close(one.scores, other.scores, rtol=1e-6, atol=0)


def test_what_has_no_size_is_no_proposal(device):
    stock, ours = heads()
    settings = ConfigDict({**CFG, 'min_bbox_size': 10**4})
    for head in (stock, ours):
        for found in head.predict_by_feat(*maps(device), batch_img_metas=METAS, cfg=settings):
            assert found.bboxes.shape == (0, 4)
            assert found.scores.shape == found.labels.shape == (0,)


def test_no_proposal_is_of_no_number(device):
    scores, offsets = maps(device)
    for one in offsets:
        one[1] = float('nan')
    first, second = heads()[1].predict_by_feat(
        scores, offsets, batch_img_metas=METAS, cfg=ConfigDict(CFG)
    )
    assert len(first) > 50
    assert len(second) == 0


def test_a_sliver_suppresses_nothing_by_its_rounding(device):
    """Set apart from other levels it has no size any more; what is too small is not kept."""
    boxes = torch.tensor([[0.0, 0, 9, 9], [3, 3, 3, 3], [50, 50, 50, 60], [90, 90, 90.0001, 99]])
    boxes = boxes.to(device)
    scores = torch.tensor([0.5, 0.9, 0.8, 0.95], device=device)
    valid = torch.tensor([True, False, False, True], device=device)
    suppress = proposals.at_once if device == 'cuda' else proposals.by_level
    for several, counts, kept in (
        ([valid, ~valid], (2, 2), [[3, 0], [1, 2]]),
        ([torch.zeros_like(valid), valid], (2, 2), [[], [3, 0]]),
        ([torch.ones_like(valid)], (4,), [[3, 1, 2, 0]]),
    ):
        images = (torch.stack([one] * len(several)) for one in (boxes, scores))
        found = suppress(*images, torch.stack(several), counts, 0.7)
        assert [one.tolist() for one in found] == kept


@pytest.mark.parametrize('changed', [{'nms_pre': -1}, {'nms': None}, {}])
def test_what_is_not_said_is_as_in_mmdet(changed):
    settings = ConfigDict({**CFG, **changed})
    if not changed:
        del settings.nms_pre
    expected, found = (
        head.predict_by_feat(*maps(), batch_img_metas=METAS, cfg=settings) for head in heads()
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.bboxes, other.bboxes)


def test_proposals_read_what_is_suppressed(monkeypatch):
    monkeypatch.setattr(proposals, 'by_level', proposals.at_once)
    counts = []
    for head in heads():
        with CountReads() as reads:
            head.predict_by_feat(*maps(), batch_img_metas=METAS, cfg=ConfigDict(CFG))
        counts.append(reads.count)
    assert counts[0] > counts[1] == len(METAS)


def test_gradients_do_not_flow_through_proposals():
    scores, offsets = maps()
    found = heads()[1].predict_by_feat(
        [one.requires_grad_() for one in scores],
        [one.requires_grad_() for one in offsets],
        batch_img_metas=METAS,
        cfg=ConfigDict(CFG),
    )
    assert not any(one.bboxes.requires_grad or one.scores.requires_grad for one in found)


@pytest.mark.parametrize(
    'changed', [{'nms': dict(type='soft_nms', iou_threshold=0.5)}, {'rescale': True}]
)
def test_what_is_not_known_is_left_to_mmdet(changed):
    rescale = changed.pop('rescale', False)
    metas = [{**meta, 'scale_factor': (2.0, 2.0)} for meta in METAS]
    expected, found = (
        head.predict_by_feat(
            *maps(), batch_img_metas=metas, cfg=ConfigDict({**CFG, **changed}), rescale=rescale
        )
        for head in heads()
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.bboxes, other.bboxes)
        assert torch.equal(one.scores, other.scores)


def test_a_head_with_softmax_stays():
    head = MODELS.build({**RPN, 'loss_cls': dict(type='mmdet.CrossEntropyLoss')})
    avoid_halts(head)
    assert 'predict_by_feat' not in vars(head)
