"""One change makes a training count iterations: all else that counts follows."""

from math import cos, pi

import pytest
from support import CONFIGS

from vitmm.apis.scalars import is_training, read_scalars
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.config.length import describe
from vitmm.errors import ConfigError

ITERATIONS = {
    'train_cfg._delete_': True,
    'train_cfg.by_epoch': False,
    'train_cfg.max_iters': 6,
    'train_cfg.val_interval': 3,
}


def by_iterations(options):
    return {k: v for k, v in options.items() if k != 'train_cfg.max_epochs'} | ITERATIONS


@pytest.mark.parametrize('recipe', ['det/vit_retinanet', 'seg/vit_fcn', 'cls/vit_linear'])
def test_all_that_counts(recipe, tiny_options):
    path = CONFIGS / f'{recipe}.py'
    for options, epochs in ((tiny_options, True), (by_iterations(tiny_options), False)):
        config = resolve(load_config(path, options=options))
        hooks = config.default_hooks
        last = config.param_scheduler[-1]
        told = {
            config.log_processor.by_epoch,
            hooks.logger.log_metric_by_epoch,
            hooks.checkpoint.by_epoch,
            last.by_epoch,
            last.convert_to_iter_based,
        }
        assert told == {epochs}
        assert last.T_max == last.end == config.train_cfg['max_epochs' if epochs else 'max_iters']
        assert hooks.checkpoint.interval == (1 if epochs else 3)
        shuffled = 'DefaultSampler' if epochs else 'InfiniteSampler'
        assert config.train_dataloader.sampler == dict(type=shuffled, shuffle=True)
        assert config.val_dataloader.sampler.type == 'DefaultSampler'
        assert resolve(config).to_dict() == config.to_dict()


def test_what_a_config_says_stays(tiny_options):
    said = {
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.logger.log_metric_by_epoch': True,
        'train_dataloader.sampler.type': 'DefaultSampler',
    }
    options = {**by_iterations(tiny_options), **said}
    config = resolve(load_config(CONFIGS / 'det/vit_retinanet.py', options=options))
    assert config.default_hooks.checkpoint.interval == 2
    assert config.default_hooks.logger.log_metric_by_epoch is True
    assert config.train_dataloader.sampler.type == 'DefaultSampler'


@pytest.mark.parametrize(
    ('train_cfg', 'by_epoch'),
    [
        (None, True),
        (dict(max_epochs=3), True),
        (dict(max_iters=3), False),
        (dict(type='EpochBasedTrainLoop', max_epochs=3), True),
        (dict(type='mmengine.IterBasedTrainLoop', max_iters=3), False),
        (dict(by_epoch=False, max_iters=3), False),
        (dict(type='MyLoop', max_iters=3), False),
        (dict(type='MyLoop', max_epochs=3), True),
    ],
)
def test_the_unit(train_cfg, by_epoch):
    told = describe(train_cfg)
    assert told['by_epoch'] is by_epoch
    assert told.get('length', 3) == 3 and ('length' in told) is bool(train_cfg)


def test_loops_of_ones_own():
    told = describe(dict(type='MyLoop', max_steps=9))
    assert told['by_epoch'] and 'length' not in told
    assert describe('nonsense') == describe(None)


def test_a_loop_named_twice(tiny_options):
    del tiny_options['train_cfg.max_epochs']
    options = {**tiny_options, 'train_cfg.by_epoch': False, 'train_cfg.max_iters': 3}
    config = load_config(CONFIGS / 'det/vit_retinanet.py', options=options)
    with pytest.raises(ConfigError, match=r'both name the loop\. train_cfg\._delete_=True drops'):
        resolve(config)


@pytest.mark.parametrize('value', [0, -3, 1.5, '9', True])
@pytest.mark.parametrize('key', ['train_cfg.max_epochs', 'val_dataloader.batch_size'])
def test_counts_that_are_none(key, value, tiny_options):
    with pytest.raises(ConfigError, match=f'{key} is a whole number, 1 or more, not {value!r}'):
        resolve(load_config(CONFIGS / 'cls/vit_linear.py', options={**tiny_options, key: value}))


def test_no_length(tiny_options):
    del tiny_options['train_cfg.max_epochs']
    options = {**tiny_options, 'train_cfg.type': 'IterBasedTrainLoop'}
    config = load_config(CONFIGS / 'det/vit_retinanet.py', options=options)
    with pytest.raises(ConfigError, match='train_cfg: it counts iterations, and needs max_iters'):
        resolve(config)


@pytest.mark.parametrize('recipe', ['det/vit_retinanet', 'seg/vit_fcn', 'cls/vit_linear'])
def test_trains(recipe, tiny_options, tmp_path):
    options = by_iterations(tiny_options)
    options['param_scheduler.0.end'] = 2
    path = CONFIGS / f'{recipe}.py'
    runner = train(path, work_dir=tmp_path, options=options)
    assert runner.iter == 6
    assert {p.name for p in tmp_path.glob('iter_*')} == {'iter_3.pth', 'iter_6.pth'}
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    entries = read_scalars(log)[0]
    assert [entry['step'] for entry in entries if not is_training(entry)] == [3, 6]
    # The cosine goes all the way: from the whole rate to a hundredth in 6 steps, of which 5 were.
    group = runner.optim_wrapper.optimizer.param_groups[0]
    left = 0.01 + 0.99 * (1 + cos(pi * 5 / 6)) / 2
    assert group['lr'] == pytest.approx(group['initial_lr'] * left)
