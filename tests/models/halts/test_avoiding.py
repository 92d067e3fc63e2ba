"""What is not of one head: channels, accuracy of pixels, copies."""

import copy

import mmdet.models  # noqa: F401 (it registers its own)
import mmseg.models  # noqa: F401 (likewise)
import pytest
import torch
from mmengine.registry import MODELS as MMENGINE_MODELS

from vitmm.export.images import Prepare
from vitmm.models.halts import avoid_halts
from vitmm.models.halts.accuracy import pixel_accuracy
from vitmm.models.halts.reads import CountReads


@pytest.mark.parametrize('ignore_index', [None, 255])
@pytest.mark.parametrize('ignored', ['some', 'all', 'none'])
def test_accuracy_of_pixels_is_mmsegs(ignored, ignore_index):
    from mmseg.models.losses.accuracy import accuracy

    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4, 9, 7), torch.randint(4, (2, 9, 7))
    if ignored != 'none':
        labels[:, : 5 if ignored == 'some' else 9] = 255
    expected = accuracy(logits, labels, ignore_index=ignore_index)
    with CountReads() as reads:
        found = pixel_accuracy(logits, labels, ignore_index)
    assert reads.count == 0
    torch.testing.assert_close(found, expected)


def test_heads_of_mmseg_call_it():
    from mmseg.models.decode_heads import decode_head

    avoid_halts(torch.nn.Linear(1, 1))
    logits, labels = torch.randn(2, 4, 9, 7), torch.randint(4, (2, 9, 7))
    with CountReads() as reads:
        found = decode_head.accuracy(logits, labels, ignore_index=255)
    assert reads.count == 0
    assert torch.equal(found, pixel_accuracy(logits, labels, 255))
    top = decode_head.accuracy(logits, labels, topk=(1, 2))  # what ours does not know
    assert len(top) == 2 and top[1] >= top[0]


@pytest.mark.parametrize('channels', [3, 5])
@pytest.mark.parametrize('kind', ['mmdet.DetDataPreprocessor', 'mmseg.SegDataPreProcessor'])
def test_channels_are_turned_around_once(kind, channels):
    settings = dict(mean=[1, 2, 3], std=[4, 5, 6]) if channels == 3 else {}
    stock = MMENGINE_MODELS.build(dict(type=kind, bgr_to_rgb=channels == 3, **settings))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    avoid_halts(ours)  # twice is once
    data = {'inputs': [torch.randint(256, (channels, 32, 32)).byte()], 'data_samples': None}
    expected, found = (one(copy.deepcopy(data))['inputs'] for one in (stock, copy.deepcopy(ours)))
    assert torch.equal(found, expected)
    # So does an export of a model that was trained in this process.
    images = torch.rand(1, channels, 32, 32) * 255
    expected, found = (Prepare(one, channels)(images) for one in (stock, ours))
    assert torch.equal(found, expected)
