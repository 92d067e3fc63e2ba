"""What is said to a wrapped data set is what the data set hears."""

import inspect

import pytest
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset

from vitmm.config.wrappers import push_inwards

INNER = {'type': 'BaseDataset', 'data_root': 'a', 'pipeline': [1]}


@pytest.mark.parametrize(
    'wrapper',
    [
        {'type': 'RepeatDataset', 'times': 2, 'dataset': INNER},
        {'type': 'mmengine.ClassBalancedDataset', 'oversample_thr': 0.1, 'dataset': INNER},
        {'type': 'ConcatDataset', 'datasets': [INNER, INNER]},
    ],
)
def test_it_reaches_the_data_set(wrapper):
    found = push_inwards({**wrapper, 'pipeline': [2], 'filter_cfg': {}, 'lazy_init': True})
    inner = {**INNER, 'pipeline': [2], 'filter_cfg': {}}
    expected = {**wrapper, 'lazy_init': True}
    if 'dataset' in wrapper:
        assert found == {**expected, 'dataset': inner}
    else:
        assert found == {**expected, 'datasets': [inner, inner]}
    assert push_inwards(wrapper) == wrapper


def test_through_several_wrappers():
    deep = {'type': 'RepeatDataset', 'dataset': {'type': 'RepeatDataset', 'dataset': INNER}}
    found = push_inwards({**deep, 'pipeline': [2]})
    assert found['dataset']['dataset']['pipeline'] == [2]
    assert 'pipeline' not in found and 'pipeline' not in found['dataset']


def test_what_has_a_pipeline_of_its_own_keeps_it():
    mixed = {'type': 'mmdet.MultiImageMixDataset', 'dataset': INNER, 'pipeline': [2]}
    assert push_inwards(mixed) == mixed
    assert push_inwards(INNER) == INNER
    assert push_inwards('${train_dataloader.dataset}') == '${train_dataloader.dataset}'


@pytest.mark.parametrize('wrapper', [RepeatDataset, ClassBalancedDataset, ConcatDataset])
def test_every_argument_of_a_wrapper_stays_with_it(wrapper):
    taken = set(inspect.signature(wrapper.__init__).parameters) - {'self'}
    inner = 'datasets' if 'datasets' in taken else 'dataset'
    said = dict.fromkeys(taken - {inner}, 1)
    found = push_inwards({'type': wrapper.__name__, **said, inner: [INNER]})
    assert found == {'type': wrapper.__name__, **said, inner: [INNER]}
    assert not taken & set(inspect.signature(BaseDataset.__init__).parameters) - {'lazy_init'}
