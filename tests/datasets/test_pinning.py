"""What torch's loader pins of a batch."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from torch.utils.data._utils.pin_memory import pin_memory

from vitmm.datasets import collate


@pytest.fixture
def pinned(monkeypatch):
    """The ids of what was pinned, by a copy as on a GPU."""
    made = {}

    def pin(tensor, device=None):  # which torch 2.6 gives
        copy = tensor.clone()
        made[id(copy)] = copy
        return copy

    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin)
    return made


def test_all_tensors_of_a_batch_are_pinned(pinned):
    masks = BitmapMasks([], 8, 9)
    sample = DetDataSample(metainfo=dict(img_id=3, img_shape=(8, 9)))
    sample.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.rand(2, 4)), labels=torch.tensor([4, 5])
    )
    sample.gt_instances.names = ['a', 'b']
    sample.ignored_instances = InstanceData(masks=masks)
    sample.gt_sem_seg = PixelData(sem_seg=torch.randint(9, (1, 8, 9)))
    label = DataSample().set_gt_label([1, 2]).set_gt_score(torch.rand(5))
    batch = collate([{'inputs': torch.rand(3, 8, 9), 'data_samples': sample}])
    found = pin_memory({**batch, 'labels': [label]})
    (own,) = found['data_samples']
    (given,) = found['labels']
    tensors = [
        *found['inputs'],
        own.gt_instances.bboxes.tensor,
        own.gt_instances.labels,
        own.gt_sem_seg.sem_seg,
        given.gt_label,
        given.gt_score,
    ]
    assert {id(one) for one in tensors} == pinned.keys()
    assert own.metainfo == sample.metainfo
    assert isinstance(own.gt_instances.bboxes, HorizontalBoxes)
    assert torch.equal(own.gt_instances.bboxes.tensor, sample.gt_instances.bboxes.tensor)
    assert torch.equal(own.gt_instances.labels, sample.gt_instances.labels)
    assert own.gt_instances.names == ['a', 'b']
    assert own.ignored_instances.masks is masks
    assert torch.equal(own.gt_sem_seg.sem_seg, sample.gt_sem_seg.sem_seg)
    assert torch.equal(given.gt_label, label.gt_label)
