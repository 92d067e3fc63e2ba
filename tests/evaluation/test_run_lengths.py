"""Run lengths are pycocotools'."""

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks
from pycocotools import mask as coco_masks

from vitmm.evaluation import run_lengths as module
from vitmm.evaluation.run_lengths import encode_masks


def expected(masks):
    codes = [coco_masks.encode(np.asfortranarray(mask, np.uint8)) for mask in masks.numpy()]
    return [dict(size=code['size'], counts=code['counts'].decode()) for code in codes]


@pytest.fixture(params=['crops', 'whole'])
def find(request, monkeypatch):
    """How ends of runs are found on a CPU and on a GPU; both here on a CPU."""
    monkeypatch.setattr(module, '_PIXELS', 500)  # a few masks at once
    if request.param == 'whole':
        monkeypatch.setattr(module, '_of_crops', module._of_whole_masks)


@pytest.mark.usefixtures('find')
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (9, 1), (7, 13), (40, 30), (30, 40)])
@pytest.mark.parametrize('share', [0.0, 0.02, 0.5, 0.98, 1.0])
def test_random_masks(size, share):
    torch.manual_seed(0)
    masks = torch.rand(20, *size) < share
    assert encode_masks(masks) == expected(masks)


@pytest.mark.usefixtures('find')
def test_objects_at_the_borders():
    masks = torch.zeros(9, 12, 17, dtype=torch.bool)
    for number, (top, left) in enumerate((t, x) for t in (0, 4, 8) for x in (0, 6, 13)):
        masks[number, top : top + 4, left : left + 4] = True
    masks[4, :, 5:9] = True  # whole columns: runs go on from one to the next
    assert encode_masks(masks) == expected(masks)


@pytest.mark.usefixtures('find')
@pytest.mark.parametrize('kind', [torch.uint8, torch.int64, torch.float32])
def test_other_kinds(kind):
    masks = torch.randint(0, 2, (3, 8, 5)).to(kind)
    assert encode_masks(masks) == expected(masks.byte())


@pytest.mark.usefixtures('find')
def test_parts_of_other_tensors():
    masks = torch.rand(5, 20, 30, 2)[..., 0].transpose(1, 2) < 0.3
    assert encode_masks(masks) == expected(masks)


def test_arrays():
    masks = torch.rand(4, 9, 7) < 0.4
    arrays = masks.numpy()[:, ::-1]
    wanted = expected(masks.flip(1))
    assert encode_masks(arrays) == wanted
    assert encode_masks([*arrays]) == encode_masks([*masks.flip(1)]) == wanted
    assert encode_masks(BitmapMasks(arrays.astype(np.uint8), 9, 7)) == wanted
    assert encode_masks([]) == []


@pytest.mark.usefixtures('find')
def test_none():
    assert encode_masks(torch.zeros(0, 8, 5, dtype=torch.bool)) == []


@pytest.mark.cuda
def test_on_a_gpu():
    masks = torch.rand(20, 40, 30) < 0.3
    assert encode_masks(masks.cuda()) == expected(masks)
