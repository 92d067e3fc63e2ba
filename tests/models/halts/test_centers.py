"""Losses of ATSS and FCOS are mmdet's, and no value is read on the way."""

import copy

import pytest
import support
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from vitmm.models.halts import avoid_halts, padding
from vitmm.models.halts.atss import assign
from vitmm.models.halts.padding import Padding
from vitmm.models.halts.reads import CountReads

STRIDES = (8, 16, 32, 64, 128)
BATCH = (128, 192)
METAS = [  # of a batch that is padded to (128, 192)
    dict(img_shape=(120, 190), pad_shape=(128, 192)),
    dict(img_shape=(60, 100), pad_shape=(64, 128)),
    dict(img_shape=(128, 16), pad_shape=(128, 32)),
]
COMMON = dict(
    num_classes=4,
    in_channels=8,
    feat_channels=8,
    stacked_convs=1,
    norm_cfg=dict(type='GN', num_groups=4),
)
LOSSES = dict(
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, loss_weight=1.1),
    loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=0.7),
)
ATSS = dict(
    type='ATSSHead',
    anchor_generator=dict(
        type='AnchorGenerator',
        ratios=[1.0],
        octave_base_scale=8,
        scales_per_octave=1,
        strides=STRIDES,
    ),
    loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
    train_cfg=dict(
        assigner=dict(type='ATSSAssigner', topk=9, ignore_iof_thr=0.3),
        allowed_border=-1,
        pos_weight=-1,
    ),
    **LOSSES,
    **COMMON,
)
FCOS = dict(type='FCOSHead', strides=STRIDES, loss_bbox=dict(type='IoULoss'), **LOSSES, **COMMON)
HEADS = {
    'ATSS': ATSS,
    'ATSS with a weight': {**ATSS, 'train_cfg': {**ATSS['train_cfg'], 'pos_weight': 3.0}},
    'FCOS': FCOS,
    'FCOS at centres': {
        **FCOS,
        'center_sampling': True,
        'norm_on_bbox': True,
        'loss_bbox': dict(type='GIoULoss'),
        'regress_ranges': ((-1, 16), (16, 48), (48, 96), (96, 160), (160, 1e8)),
    },
}


def truth(count, meta, least=3):
    height, width = meta['img_shape']
    corners = torch.rand(count, 2) * torch.tensor([width, height]) * 0.8
    sizes = least + torch.rand(count, 2) * torch.tensor([width, height]) * 0.7
    far = torch.minimum(corners + sizes, torch.tensor([width, height]).float())
    return InstanceData(bboxes=torch.cat([corners, far], 1), labels=torch.randint(4, (count,)))


def heads(settings):
    """mmdet's, and the same after the change."""
    torch.manual_seed(0)
    stock = MODELS.build(ConfigDict(copy.deepcopy(settings)))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    avoid_halts(ours)  # twice is once
    return stock, ours


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('counts', [(5, 2, 3), (4, 0, 1), (0, 0, 0), (40, 1, 7)], ids=str)
@pytest.mark.parametrize('name', HEADS)
def test_losses_and_gradients(name, counts, seed, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', 1 if seed == 1 else 10**9)  # image by image, or not
    stock, ours = heads(HEADS[name])
    torch.manual_seed(seed)
    truths = [truth(count, meta) for count, meta in zip(counts, METAS, strict=True)]
    ignored = [truth(2, meta) for meta in METAS] if seed == 2 and 'ATSS' in name else None
    maps = [torch.randn(3, 8, -(-BATCH[0] // s), -(-BATCH[1] // s)) for s in STRIDES]
    found, reads = [], []
    for head in (stock, ours):
        head.zero_grad()
        outputs = [[one.requires_grad_() for one in levels] for levels in head(maps)]
        with CountReads() as count:
            losses = head.loss_by_feat(*outputs, truths, METAS, ignored)
        reads.append(count.count)
        losses = {name: sum(one) if isinstance(one, list) else one for name, one in losses.items()}
        sum(losses.values()).backward()
        found.append({**losses, **{n: p.grad for n, p in head.named_parameters()}})
    expected, own = found
    assert expected.keys() == own.keys()
    for key, value in expected.items():
        torch.testing.assert_close(own[key], value, rtol=1e-4, atol=1e-6, msg=key)
    assert reads[1] == 0 < reads[0]


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.parametrize('padded', [True, False])
def test_assignment(padded, seed):
    """In a level of which a few anchors take part, too."""
    stock, _ = heads(ATSS)
    torch.manual_seed(seed)
    sizes = [(-(-BATCH[0] // s), -(-BATCH[1] // s)) for s in STRIDES]
    levels = stock.prior_generator.grid_priors(sizes, device='cpu')
    priors, counts = torch.cat(levels), [len(level) for level in levels]
    within = torch.stack(
        [torch.cat([torch.rand(n) < (0.1 if n < 30 else 0.7) for n in counts]) for _ in range(3)]
    )
    within = within if padded else None
    objects = [truth(count, METAS[0]) for count in (12, 0, 5)]
    ignored = [truth(2, METAS[0]), truth(3, METAS[0]), None]
    places = Padding([12, 0, 5], priors.device)
    boxes = places.lay([one.bboxes for one in objects])
    with CountReads() as reads:
        owners = assign(stock.assigner, priors, counts, within, boxes, places.real, ignored)
    assert reads.count == 0
    for image, found in enumerate(owners):
        kept = torch.ones_like(found).bool() if within is None else within[image]
        of_level = [int(part.sum()) for part in kept.split(counts)]
        own = InstanceData(priors=priors[kept])
        expected = stock.assigner.assign(own, of_level, objects[image], ignored[image])
        assert torch.equal(found[kept], expected.gt_inds)
        assert (found[~kept] == -1).all()
    assert (owners[0] > 0).sum() >= 5


@pytest.mark.parametrize('name', ['ATSS', 'FCOS'])
def test_more_images_want_no_more_operators(name, monkeypatch):
    monkeypatch.setitem(padding._PAIRS, 'cpu', 10**9)
    _, head = heads(HEADS[name])
    counts = []
    for images in (3, 9):
        maps = [torch.randn(images, 8, -(-BATCH[0] // s), -(-BATCH[1] // s)) for s in STRIDES]
        truths = [truth(count, METAS[0]) for count in range(images)]
        outputs = head(maps)
        given = *outputs, truths, METAS * (images // 3)
        counts.append(support.operators(head.loss_by_feat, *given))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    'change',
    [
        dict(train_cfg={**ATSS['train_cfg'], 'allowed_border': 0}),
        dict(reg_decoded_bbox=False),
        dict(loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True)),
        dict(loss_bbox=dict(type='EIoULoss')),
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_heads_stay_as_they_are(change):
    _, head = heads({**ATSS, **change})
    assert vars(head)['loss_by_feat'].func.__name__ == '_call'  # which calls the class's own
