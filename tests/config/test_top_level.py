"""Options that would be merged into a config and never read."""

import pytest
from support import CONFIGS

from vitmm.apis.launch import prepare
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.config import load_config
from vitmm.config.top_level import check_options
from vitmm.errors import ConfigError

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'


@pytest.mark.parametrize(
    'run',
    [
        lambda options, out: train(RECIPE, work_dir=out, options=options),
        lambda options, out: evaluate(RECIPE, 'any.pth', work_dir=out, options=options),
    ],
    ids=['train', 'test'],
)
def test_a_misspelt_key_is_refused_before_anything_is_written(run, tiny_options, tmp_path):
    words = r"trian_cfg\.max_epochs: nothing reads 'trian_cfg'\. Did you mean train_cfg.*inherits"
    with pytest.raises(ConfigError, match=words):
        run({**tiny_options, 'trian_cfg.max_epochs': 2}, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'options',
    [
        {'load_from': 'a.pth', 'auto_scale_lr.enable': True, 'custom_hooks': []},
        {'tta_pipeline': [], 'tta_model.type': 'A', 'trackers.wandb': {}, 'bad_data': 'skip'},
        {'runner_type': 'FlexibleRunner', 'custom_imports.imports': ['a'], 'sync_bn': 'torch'},
        {'image_size': 64, '_private': 1},
        {'rate': 0.1, 'optim_wrapper.optimizer.lr': '${rate}'},
    ],
    ids=['the Runner', 'tools', 'loading', 'the config', 'a hole'],
)
def test_what_is_read_is_let_through(options):
    check_options(load_config(RECIPE), options, RECIPE)


@pytest.mark.parametrize(
    ('option', 'who'),
    [
        ('training.by_epoch', 'train_cfg'),
        ('backbone.channels', 'model.backbone'),
        ('machine.workers', 'the machine'),
        ('data', 'the data set'),
    ],
)
def test_what_others_tell_is_not_set(option, who):
    with pytest.raises(ConfigError, match=rf"{option}: '\w+' is not set; {who} tells it\.$"):
        check_options(load_config(RECIPE), {option: 1}, RECIPE)


def test_a_key_of_ones_own_is_written_into_a_config(tiny_options, tmp_path):
    recipe = tmp_path / 'mine.py'
    recipe.write_text(f'_base_ = [{str(RECIPE)!r}]\nmy_key = None\n')
    with pytest.raises(ConfigError, match='my_key'):
        prepare(RECIPE, options={**tiny_options, 'my_key': 5})
    assert prepare(recipe, options={**tiny_options, 'my_key': 5}).my_key == 5
