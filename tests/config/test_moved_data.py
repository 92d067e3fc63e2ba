"""Options that move the data of a resolved config: as if the recipe had been resolved with them."""

import pytest
from mmengine.config import Config
from support import CONFIGS

from vitmm.config import load_config, resolve
from vitmm.config.load import merge_options
from vitmm.config.moved_data import written_root

RECIPES = ['cls/vit_linear', 'det/vit_retinanet', 'seg/vit_fcn']


@pytest.mark.parametrize('recipe', RECIPES)
def test_a_dumped_config_follows(recipe, tiny_shapes, tmp_path):
    (tmp_path / 'new').symlink_to(tiny_shapes)
    recipe = CONFIGS / f'{recipe}.py'
    at, plain = ({'data_root': str(root)} for root in (tmp_path / 'new', tiny_shapes))
    loaded = load_config(recipe, None, {**plain, 'prepare_data': None})
    assert written_root(loaded) is None
    resolve(loaded).dump(tmp_path / 'dumped.py')
    moved = load_config(tmp_path / 'dumped.py', None, at)
    expected = resolve(load_config(recipe, None, {**at, 'prepare_data': None}))
    assert moved.to_dict() == expected.to_dict()
    assert str(tiny_shapes) not in str(moved.to_dict())


def test_what_lies_elsewhere_stays():
    sets = [dict(data_root='data/a/', ann_file='data/a/x.json'), dict(data_root='data/ab')]
    config = Config(
        dict(
            data_root='data/a/',
            train_dataloader=dict(dataset=dict(datasets=sets)),
            val_evaluator=[dict(ann_file='data/a/y.json'), dict(ann_file='other/data/a')],
            load_from='data/a/weights.pth',
        )
    )
    options = {'data_root': '/new', 'train_dataloader.dataset.datasets.1.data_root': '/b'}
    merge_options(config, options, 'a.py')
    first, second = config.train_dataloader.dataset.datasets
    assert (first.data_root, first.ann_file, second.data_root) == ('/new/', '/new/x.json', '/b')
    assert [one.ann_file for one in config.val_evaluator] == ['/new/y.json', 'other/data/a']
    assert (config.data_root, config.load_from) == ('/new', 'data/a/weights.pth')


def test_words_that_are_the_same_by_chance_stay():
    loader = dict(
        dataset=dict(type='shapes', data_root='shapes', metainfo=dict(classes=('shapes',)))
    )
    config = Config(dict(data_root='shapes', train_dataloader=loader))
    merge_options(config, {'data_root': '/new'}, 'a.py')
    moved = config.train_dataloader.dataset
    assert (moved.type, moved.data_root, moved.metainfo.classes) == ('shapes', '/new', ('shapes',))
