"""The assignment is mmdet's, and no value is read on the way."""

import pytest
import torch
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData

from vitmm.models.assigners import MaxIoUAssigner
from vitmm.models.assigners import MMDetMaxIoUAssigner as Theirs
from vitmm.models.halts.reads import CountReads

IOU = dict(type='mmdet.BboxOverlaps2D')  # whatever scope another test has left
SETTINGS = [
    dict(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),  # RetinaNet
    dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),  # RPN
    dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False),  # R-CNN
    dict(pos_iou_thr=0.5, neg_iou_thr=(0.1, 0.4), min_pos_iou=0.2),
    dict(pos_iou_thr=0.5, neg_iou_thr=0.4, gt_max_assign_all=False),
    dict(pos_iou_thr=0.5, neg_iou_thr=[0.1, 0.4]),  # in mmdet no negatives
    dict(pos_iou_thr=0.5, neg_iou_thr=1),  # likewise
    dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3, ignore_iof_thr=0.5),
]


def boxes(count, size):
    corners = torch.rand(count, 2) * 80
    return torch.cat([corners, corners + 5 + torch.rand(count, 2) * size], dim=1)


def both(settings, count):
    torch.manual_seed(count)
    truth = boxes(count, 40).round()  # whole numbers: many overlaps are equal
    priors = InstanceData(priors=torch.cat([boxes(400, 40).round(), truth[: count // 2]]))
    truth = InstanceData(bboxes=truth, labels=torch.randint(7, (count,)))
    ignored = InstanceData(bboxes=boxes(3, 40)) if 'ignore_iof_thr' in settings else None
    assigners = MaxIoUAssigner(**settings), Theirs(**settings, iou_calculator=IOU)
    return [assigner.assign(priors, truth, ignored) for assigner in assigners]


@pytest.mark.parametrize('settings', SETTINGS)
@pytest.mark.parametrize('count', [0, 1, 2, 9, 60])
def test_the_assignment_is_mmdets(settings, count):
    ours, theirs = both(settings, count)
    assert ours.num_gts == theirs.num_gts
    for key in ('gt_inds', 'max_overlaps', 'labels'):
        found, expected = getattr(ours, key), getattr(theirs, key)
        assert found.dtype == expected.dtype, key
        assert torch.equal(found, expected), key


@pytest.mark.parametrize('settings', SETTINGS[:4])
def test_several_images_at_once_are_assigned_as_each_is(settings):
    torch.manual_seed(0)
    assigner, counts = MaxIoUAssigner(**settings), (9, 0, 3)
    assert assigner.takes_batches()
    overlaps = torch.rand(3, 9, 50) * (torch.rand(3, 9, 50) < 0.3)
    real = torch.arange(9) < torch.tensor(counts)[:, None]
    overlaps = torch.where(real[..., None], overlaps, 0.0)
    owners = assigner.owners(overlaps, real)
    theirs = Theirs(**settings, iou_calculator=IOU)
    for image, count in enumerate(counts):
        expected = theirs.assign_wrt_overlaps(overlaps[image, :count], torch.zeros(count).long())
        assert torch.equal(owners[0][image], expected.gt_inds)
        assert torch.equal(owners[1][image], expected.max_overlaps)


@pytest.mark.parametrize(
    'settings',
    [
        dict(gt_max_assign_all=False),
        dict(gpu_assign_thr=5),
        dict(iou_calculator=IOU),
        dict(perm_repeat_gt_cfg=dict(iou_thr=0.97)),
    ],
)
def test_what_is_more_than_plain_overlaps_goes_image_by_image(settings):
    assert not MaxIoUAssigner(0.5, 0.4, **settings).takes_batches()
    ignored = [None, InstanceData(bboxes=torch.rand(1, 4))]
    assert MaxIoUAssigner(0.5, 0.4).takes_batches(ignored)
    assert not MaxIoUAssigner(0.5, 0.4, ignore_iof_thr=0.5).takes_batches(ignored)
    assert MaxIoUAssigner(0.5, 0.4, ignore_iof_thr=0.5).takes_batches([None])


def test_nothing_is_read():
    overlaps, labels = torch.rand(20, 300), torch.randint(7, (20,))
    theirs, ours = Theirs(0.7, 0.3, 0.3, iou_calculator=IOU), MaxIoUAssigner(0.7, 0.3, 0.3)
    with CountReads() as reads:
        theirs.assign_wrt_overlaps(overlaps, labels)
    assert reads.count >= 20  # or there is nothing to save
    with CountReads() as reads:
        ours.assign_wrt_overlaps(overlaps, labels)
    assert reads.count == 0


def test_configs_of_mmdet_find_it():
    built = TASK_UTILS.build(dict(type='vitmm.MaxIoUAssigner', **SETTINGS[0]))
    assert isinstance(built, MaxIoUAssigner)
