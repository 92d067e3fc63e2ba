"""What comes out of a worker is what went in, through one file of shared memory."""

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader

from vitmm.datasets import collate
from vitmm.datasets.parcel import LARGE, Parcel


def sample(number):
    random = np.random.default_rng(number)
    height, width = 120 + number, 90
    found = DetDataSample(metainfo=dict(img_shape=(height, width), img_path=f'{number}.jpg'))
    boxes = torch.from_numpy(random.random((number, 4), np.float32))  # none in the first
    masks = random.integers(0, 2, (number, height, width), np.uint8)
    found.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(boxes),
        labels=torch.arange(number),
        masks=BitmapMasks(masks, height, width),
    )
    image = random.integers(0, 256, (3, height, width), np.uint8)
    return {'inputs': torch.from_numpy(image), 'data_samples': found}


@pytest.fixture
def shared(monkeypatch):
    """The storages that are handed over as files, as often as they are."""
    handed, share = [], torch.UntypedStorage._share_fd_cpu_
    monkeypatch.setattr(
        torch.UntypedStorage, '_share_fd_cpu_', lambda s, *a: handed.append(s) or share(s, *a)
    )
    return handed


def test_a_batch_arrives_as_it_was():
    data = [sample(number) for number in range(4)]
    loader = DataLoader(data, batch_size=4, num_workers=1, collate_fn=collate)
    (found,) = loader
    expected = pseudo_collate(data)
    assert list(found) == list(expected)
    for ours, theirs in zip(found['inputs'], expected['inputs'], strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
        ours.add_(1)  # a model may write into its input
    for ours, theirs in zip(found['data_samples'], expected['data_samples'], strict=True):
        assert ours.metainfo == theirs.metainfo
        ours, theirs = ours.gt_instances, theirs.gt_instances
        assert torch.equal(ours.bboxes.tensor, theirs.bboxes.tensor)
        assert torch.equal(ours.labels, theirs.labels) and ours.labels.dtype == torch.int64
        assert np.array_equal(ours.masks.masks, theirs.masks.masks)
        ours.bboxes.translate_((1, 1))


def test_one_file_a_batch(shared):
    batch = pseudo_collate([sample(number) for number in range(4)])
    ForkingPickler.dumps(batch)
    assert len(shared) > 4  # images, boxes, labels
    shared.clear()
    ForkingPickler.dumps(Parcel(batch))
    (storage,) = shared
    large = [*batch['inputs'], *(s.gt_instances.masks.masks for s in batch['data_samples'])]
    large = [array.nbytes for array in large if array.nbytes >= LARGE]
    assert 0 <= storage.nbytes() - sum(large) < 64 * len(large)


def test_nothing_large_needs_no_file(shared):
    small = {'labels': torch.arange(5), 'name': 'a'}
    parcel = Parcel(small)
    told = ForkingPickler.loads(ForkingPickler.dumps(parcel))
    assert not any(storage.nbytes() for storage in shared)
    assert torch.equal(told['labels'], small['labels']) and told['name'] == 'a'


@pytest.mark.parametrize(
    'tensor',
    [
        torch.tensor(3.5),
        torch.arange(40000).reshape(200, 200).T,
        torch.arange(40000)[::2],
        torch.ones(9000, dtype=torch.bfloat16),
        torch.ones(9000, requires_grad=True),
        torch.eye(9).to_sparse(),
        torch.nn.Parameter(torch.ones(9000)),
    ],
    ids=['number', 'transposed', 'strided', 'bfloat16', 'gradient', 'sparse', 'parameter'],
)
def test_tensors_of_all_kinds(tensor):
    (told,) = pickle.loads(pickle.dumps(Parcel([tensor])))
    assert type(told) is type(tensor) and told.dtype == tensor.dtype
    assert told.requires_grad == tensor.requires_grad and told.layout == tensor.layout
    assert torch.equal(told.to_dense(), tensor.to_dense())


def test_what_is_named_twice_is_one():
    image = torch.zeros(3, 99, 99)
    told = pickle.loads(pickle.dumps(Parcel([image, image])))
    assert told[0] is told[1]


def test_what_does_not_pickle_is_an_error_of_the_worker():
    loader = DataLoader(
        [lambda: None], num_workers=1, collate_fn=lambda s: collate([{'inputs': s}])
    )
    with pytest.raises(Exception, match=r'(?i)pickle'):
        next(iter(loader))
