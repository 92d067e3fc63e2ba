"""Recipes in YAML against the same recipes in Python."""

import re

import pytest
from mmengine.config import Config
from support import CONFIGS, ROOT, as_cfg_options, fork_tool

from vitmm.apis.report import summarize
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.errors import ConfigError

DET = CONFIGS / 'det' / 'vit_retinanet.py'
YAML = f"""
_base_: {DET}
model:
  backbone:
    model_name: resnet18
    model_kwargs: {{_delete_: true}}
image_scale: [96, 64]
optim_wrapper: {{optimizer: {{lr: 1e-4, betas: [0.8, 0.9]}}}}
custom_hooks:
  - {{type: vitmm.EpochSeedHook}}
answer: ${{train_cfg.max_epochs}}
nothing: null
most: .inf
"""
PYTHON = f"""
_base_ = {str(DET)!r}
model = dict(backbone=dict(model_name='resnet18', model_kwargs=dict(_delete_=True)))
image_scale = (96, 64)
optim_wrapper = dict(optimizer=dict(lr=1e-4, betas=(0.8, 0.9)))
custom_hooks = [dict(type='vitmm.EpochSeedHook')]
answer = '${{train_cfg.max_epochs}}'
nothing = None
most = float('inf')
"""


@pytest.fixture
def both(tmp_path):
    (tmp_path / 'mine.yaml').write_text(YAML)
    (tmp_path / 'same.py').write_text(PYTHON)
    return tmp_path / 'mine.yaml', tmp_path / 'same.py'


@pytest.mark.parametrize('data', [None, 'coco'])
def test_yaml_says_what_python_says(both, data):
    ours, same = (load_config(path, data=data).to_dict() for path in both)
    assert ours == same  # a list is no tuple's equal
    assert type(ours['optim_wrapper']['optimizer']['lr']) is float
    assert ours.get('data_root') == ('data/coco' if data else 'data/shapes')


def test_options_come_last(both):
    config = load_config(both[0], options={'train_cfg.max_epochs': 3, 'image_scale': (32, 32)})
    assert config.train_cfg.max_epochs == 3
    assert config.image_scale == (32, 32)
    assert config.filename == str(both[0])


def test_bases_are_found_from_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / 'base.py').write_text('size = (1, 2)\nlength = 5\n')
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'deep/middle.yml').write_text('_base_: ../base.py\nsize: [3, 4]\n')
    (tmp_path / 'mine.yaml').write_text('_base_: [deep/middle.yml]\nlength: 6\n')
    monkeypatch.chdir(tmp_path / 'deep')  # not from where the tool is called
    config = load_config(tmp_path / 'mine.yaml')
    assert config.to_dict() == {'size': (3, 4), 'length': 6}


def test_tuples_where_no_base_tells(tmp_path):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text('a: [1, 2]\nb: !tuple [1, [2]]\nc: !!python/tuple [1, 2]\n')
    assert load_config(recipe).to_dict() == {'a': [1, 2], 'b': (1, [2]), 'c': (1, 2)}


def test_what_mmengine_dumps_as_yaml_is_read_back(tmp_path):
    Config({'a': (1, 2), 'b': {'c': [0.5, None]}}).dump(tmp_path / 'dumped.yaml')
    assert load_config(tmp_path / 'dumped.yaml').to_dict() == {'a': (1, 2), 'b': {'c': [0.5, None]}}


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a: [1', 'mine.yaml cannot be read.*line'),
        ('- a\n- b\n', 'no "key: value" lines'),
        ('a: 1\nb: 2\na: 3\n', "'a' is said twice"),
        ('model: {a: 1, a: 2}', "'a' is said twice"),
        ('1: 2', 'the key 1 at its top'),
        ('a b: 2', "the key 'a b' at its top"),
        ('day: 2026-01-01', r'mine\.yaml: day = .*quote it'),
        ('_base_: nowhere.py', r'inherits from nowhere\.py.*own folder'),
        ('a: !!python/object/apply:os.getcwd []', 'mine.yaml cannot be read.*python/object'),
        ("_base_: './broken.py'", 'cannot be read'),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, words):
    (tmp_path / 'broken.py').write_text('a = (')
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(recipe)


def test_no_data_set_to_swap_is_told_of_by_the_name_of_the_file(tmp_path):
    recipe = tmp_path / 'plain.yaml'
    recipe.write_text('a: 1\n')
    with pytest.raises(ConfigError, match=r'plain\.yaml inherits from no file'):
        load_config(recipe, data='coco')


def test_the_example_of_the_page(tmp_path):
    page = (ROOT / 'docs/yaml.md').read_text()
    for number, example in enumerate(re.findall(r'```yaml\n(.*?)```', page, re.S)):
        recipe = tmp_path / f'{number}.yaml'
        recipe.write_text(example.replace('configs/', f'{CONFIGS}/'))
        config = load_config(recipe, options={'prepare_data': None, 'model.num_classes': 1})
        assert config.model.backbone.model_name
        assert not config.model.backbone.get('model_kwargs')
    assert number == 1


def test_a_run_from_yaml_leaves_python_behind(tiny_options, tmp_path):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(f'_base_: {CONFIGS}/cls/vit_linear.py\nimage_size: 32\nresize_edge: 32\n')
    options = {**tiny_options, 'model.backbone.model_kwargs.depth': 1}
    runner = train(recipe, work_dir=tmp_path / 'run', options=options)
    dumped = tmp_path / 'run' / 'mine.py'
    assert resolve(load_config(dumped)).to_dict() == Config.fromfile(dumped).to_dict()
    assert Config.fromfile(dumped).image_size == 32
    assert not (tmp_path / 'run' / 'mine.yaml').exists()
    text = summarize(runner, recipe)
    assert f'tools/train.py {recipe}' in text
    assert 'run/mine.py' in text


def test_the_tools_take_yaml(both, tiny_options):
    options = as_cfg_options({**tiny_options, 'train_cfg.max_epochs': 7})
    done = fork_tool('print_config.py', both[0], '--cfg-options', *options)
    assert 'answer = 7' in done.stdout, done.stderr


def test_a_mapping_over_a_hole_is_written_whole(tmp_path):
    recipe = tmp_path / 'mine.yaml'
    recipe.write_text(f'_base_: {DET}\ntest_dataloader: {{batch_size: 1}}\n')
    with pytest.raises(ConfigError, match=r'test_dataloader.*_delete_'):
        load_config(recipe)
    recipe.write_text(f'_base_: {DET}\ntest_dataloader: {{_delete_: true, batch_size: 1}}\n')
    assert load_config(recipe).test_dataloader == {'batch_size': 1}
