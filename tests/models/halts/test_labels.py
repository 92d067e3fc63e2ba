"""Labels of classification arrive on the GPU without a wait, and are the same."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from pretended_gpu import PretendedGPU, send

from vitmm.models.halts import avoid_halts


@pytest.fixture(autouse=True)
def in_mmpretrains_scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def batch(kind):
    samples = [DataSample(), DataSample()]
    for number, sample in enumerate(samples):
        if kind == 'scores':
            sample.set_gt_score(torch.tensor([0.0, 1.0, float(number)]))
        if kind != 'none':
            sample.set_gt_label([2, 0][: number + 1] if kind == 'several' else number + 1)
    return {'inputs': torch.randint(256, (2, 3, 8, 8)).byte(), 'data_samples': samples}


@pytest.mark.parametrize('one_hot', [False, True])
@pytest.mark.parametrize('kind', ['one', 'several', 'scores', 'none'])
def test_labels_are_mmpretrains(kind, one_hot):
    settings = dict(num_classes=3, to_onehot=one_hot, mean=[1, 2, 3], std=[4, 5, 6])
    stock = MODELS.build(dict(type='ClsDataPreprocessor', to_rgb=True, **settings))
    ours = copy.deepcopy(stock)
    avoid_halts(ours)
    data, told, waits = batch(kind), [], []
    for one in (stock, ours):
        with PretendedGPU() as gpu:
            send(one)
            given = copy.deepcopy(data)
            given['inputs'] = given['inputs'].pin_memory()
            found = one(given, training=True)
        waits.append(len(gpu.waits))
        with gpu:
            told.append([sample.cpu() for sample in found['data_samples']])
            assert {'cuda'} >= {
                value.device.type for sample in found['data_samples'] for value in sample.values()
            }
    for expected, sample in zip(*told, strict=True):
        assert sample.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(sample.get(key), value)
    assert waits[1] == 0
    assert waits[0] > 0 or kind == 'none'


def test_nothing_moves_on_the_cpu():
    ours = MODELS.build(dict(type='ClsDataPreprocessor', num_classes=3))
    avoid_halts(ours)
    samples = ours(batch('one'))['data_samples']
    assert [sample.gt_label.tolist() for sample in samples] == [[1], [2]]
