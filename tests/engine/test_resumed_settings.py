"""A training that goes on with other settings goes on as one that always had them."""

import json

import pytest
import torch
from mmengine.registry import OPTIMIZERS
from support import CONFIGS, SMALL_CLASSIFIER, UNSAVED

from vitmm.apis.train import train
from vitmm.engine.hooks.resumed_settings import ResumedSettingsHook
from vitmm.errors import ConfigError

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'
LONGER = {'train_cfg.max_epochs': 4}
RATE = {'optim_wrapper.optimizer.lr': 2e-3, 'optim_wrapper.optimizer.weight_decay': 0.3}
BY_EPOCH = {
    'param_scheduler': [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=3),
        dict(type='MultiStepLR', by_epoch=True, milestones=[1, 3], gamma=0.5),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=3, end=12, eta_min=1e-6),
    ]
}
LAYERS = {
    'optim_wrapper.constructor': 'vitmm.LayerDecayConstructor',
    'optim_wrapper.paramwise_cfg.layer_decay': 0.5,
}
CONSTANT = {'param_scheduler': None}
TWO = {
    'param_scheduler': [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=3),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=3, end=12, eta_min=1e-6),
    ]
}
FEWER = {'param_scheduler': TWO['param_scheduler'][:1]}
EXPONENTIAL = {'param_scheduler': [dict(type='ExponentialLR', by_epoch=False, gamma=0.5)]}
STEPS = {
    'param_scheduler': [dict(type='MultiStepLR', by_epoch=False, gamma=0.5, milestones=[8])],
}
ITERATIONS = {
    'train_cfg._delete_': True,
    'train_cfg.by_epoch': False,
    'train_cfg.max_iters': 12,
    'train_cfg.val_interval': 6,
}


@pytest.fixture
def options(tiny_options):
    small = {k: v for k, v in SMALL_CLASSIFIER.items() if k not in UNSAVED}
    return {
        **tiny_options,
        **small,
        'train_dataloader.batch_size': 8,  # 3 iterations an epoch
        'train_cfg.max_epochs': 2,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 9,
    }


def rates(folder):
    """The rate of each logged iteration, and forget them: a run of the same second adds its own."""
    (log,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.unlink()
    return {line['step']: line['lr'] for line in lines if 'loss' in line}


def groups(checkpoint):
    found = torch.load(checkpoint)['optimizer']['param_groups']
    return [{k: v for k, v in group.items() if k != 'params'} for group in found]


@pytest.mark.parametrize(
    ('before', 'change'),
    [
        ({}, LONGER),
        ({}, RATE),
        ({}, LONGER | BY_EPOCH),
        (LAYERS, LAYERS | RATE | LONGER),
        ({}, RATE | CONSTANT),
        (CONSTANT, LONGER),
        (TWO, FEWER),
        (EXPONENTIAL, STEPS),
    ],
)
def test_it_is_as_if_it_had_always_had_them(before, change, options, tmp_path):
    train(RECIPE, work_dir=tmp_path / 'first', options=options | before)
    rates(tmp_path / 'first')
    changed = options | {'train_cfg.max_epochs': 3} | change
    train(RECIPE, work_dir=tmp_path / 'always', options=changed)
    runner = train(RECIPE, work_dir=tmp_path / 'first', resume=True, options=changed)
    expected = {step: rate for step, rate in rates(tmp_path / 'always').items() if step > 6}
    assert rates(tmp_path / 'first') == pytest.approx(expected, rel=1e-9)
    assert len({*expected.values()}) > 1 or change in (RATE | CONSTANT, FEWER)
    name = f'epoch_{runner.epoch}.pth'
    assert groups(tmp_path / 'first' / name) == groups(tmp_path / 'always' / name)
    (log,) = (tmp_path / 'first' / runner.timestamp).glob('*.log')
    assert "From here on the config's hold" in log.read_text()


def test_by_iterations(options, tmp_path):
    options = {k: v for k, v in options.items() if k != 'train_cfg.max_epochs'} | ITERATIONS
    train(RECIPE, work_dir=tmp_path / 'first', options=options)
    rates(tmp_path / 'first')
    changed = options | {'train_cfg.max_iters': 24}
    train(RECIPE, work_dir=tmp_path / 'always', options=changed)
    train(RECIPE, work_dir=tmp_path / 'first', resume=True, options=changed)
    expected = {step: rate for step, rate in rates(tmp_path / 'always').items() if step > 12}
    assert rates(tmp_path / 'first') == pytest.approx(expected, rel=1e-9)
    options['train_cfg.max_iters'] = 6
    with pytest.raises(ConfigError, match='max_iters=6, and the checkpoint has had 24'):
        train(RECIPE, work_dir=tmp_path / 'first', resume=True, options=options)


LAMB = {'optim_wrapper.optimizer': dict(_delete_=True, type='mmpretrain.Lamb', lr=1e-2)}


@pytest.mark.parametrize('optimizer', [{}, LAMB], ids=['AdamW', 'Lamb'])
def test_nothing_is_touched_where_nothing_is_changed(optimizer, options, tmp_path):
    """Lamb counts its steps where others have their settings."""
    options |= LONGER | optimizer
    train(RECIPE, work_dir=tmp_path, options=options)
    before, saved = rates(tmp_path), torch.load(tmp_path / 'epoch_4.pth')
    (tmp_path / 'epoch_4.pth').unlink()
    (tmp_path / 'epoch_3.pth').unlink()
    runner = train(RECIPE, work_dir=tmp_path, resume=True, options=options)
    assert rates(tmp_path) == {step: rate for step, rate in before.items() if step > 6}
    again = torch.load(tmp_path / 'epoch_4.pth')
    assert again['optimizer']['param_groups'] == saved['optimizer']['param_groups']
    for name, value in saved['state_dict'].items():
        assert torch.equal(value, again['state_dict'][name]), name
    (log,) = (tmp_path / runner.timestamp).glob('*.log')
    assert "the config's hold" not in log.read_text()


def test_an_epoch_that_was_begun_begins_anew(options, tmp_path):
    options['default_hooks.checkpoint.by_epoch'] = False
    options['default_hooks.checkpoint.interval'] = 4
    options |= LONGER
    train(RECIPE, work_dir=tmp_path, options=options)
    before = rates(tmp_path)
    last = tmp_path / 'iter_8.pth'  # two of the third epoch's three iterations
    runner = train(RECIPE, work_dir=tmp_path, resume=last, options=options)
    assert runner.iter == 12
    assert rates(tmp_path) == pytest.approx({s: r for s, r in before.items() if s > 6}, rel=1e-9)
    log = (tmp_path / runner.timestamp / f'{runner.timestamp}.log').read_text()
    assert "the config's hold" not in log and 'The schedule goes on at iteration 6' in log


@pytest.mark.parametrize('size', [4, 16])
def test_gradients_add_up_over_other_batches_too(size, options, tmp_path):
    options['optim_wrapper.accumulative_counts'] = 2
    train(RECIPE, work_dir=tmp_path, options=options)
    changed = options | LONGER | {'train_dataloader.batch_size': size}
    runner = train(RECIPE, work_dir=tmp_path, resume=True, options=changed)
    assert runner.iter == runner.max_iters == runner.optim_wrapper._inner_count


def test_several_optimisers_go_on_as_they_were():
    from types import SimpleNamespace

    from mmengine.optim import OptimWrapper, OptimWrapperDict

    weight = torch.nn.Parameter(torch.ones(1))
    both = OptimWrapperDict(a=OptimWrapper(torch.optim.SGD([weight], 0.1)))
    runner = SimpleNamespace(_resume=True, optim_wrapper=both, param_schedulers={'a': []})
    hook = ResumedSettingsHook()
    hook.before_run(runner)
    hook.after_load_checkpoint(runner, {})
    runner.train_loop = SimpleNamespace(iter=3)
    hook.before_train(runner)


def test_other_batches_are_other_iterations(options, tmp_path):
    train(RECIPE, work_dir=tmp_path / 'first', options=options)
    rates(tmp_path / 'first')
    changed = options | LONGER | {'train_dataloader.batch_size': 4}  # 6 an epoch
    train(RECIPE, work_dir=tmp_path / 'always', options=changed)
    runner = train(RECIPE, work_dir=tmp_path / 'first', resume=True, options=changed)
    assert (runner.iter, runner.max_iters) == (24, 24)
    expected = {step: rate for step, rate in rates(tmp_path / 'always').items() if step > 12}
    assert rates(tmp_path / 'first') == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('kind', ['TorchAdafactor', 'WithKwargs'])
def test_optimisers_of_other_names_and_arguments(kind, options, tmp_path):
    if kind.endswith('Kwargs'):
        OPTIMIZERS.register_module(name=kind, module=Kwargs, force=True)
    settings = {'optim_wrapper.optimizer': dict(_delete_=True, type=kind, lr=1e-3)} | CONSTANT
    train(RECIPE, work_dir=tmp_path, options=options | settings)
    rates(tmp_path)
    settings['optim_wrapper.optimizer']['lr'] = 5e-3
    train(RECIPE, work_dir=tmp_path, resume=True, options=options | LONGER | settings)
    assert {*rates(tmp_path).values()} == {5e-3}


class Kwargs(torch.optim.AdamW):
    def __init__(self, params, **kwargs):
        super().__init__(params, **kwargs)


def test_an_optimiser_whose_checkpoint_would_never_come(options, tmp_path):
    kind = dict(_delete_=True, type='ZeroRedundancyOptimizer', optimizer_type='AdamW', lr=1e-3)
    with pytest.raises(ConfigError, match='never be written: name AdamW itself, and --fsdp'):
        train(RECIPE, work_dir=tmp_path, options=options | {'optim_wrapper.optimizer': kind})
    assert not list(tmp_path.iterdir())


def test_what_cannot_go_on(options, tmp_path):
    train(RECIPE, work_dir=tmp_path, options=options)
    for kind in ('SGD', 'NAdam'):
        other = {'optim_wrapper.optimizer': dict(_delete_=True, type=kind, lr=0.1)}
        with pytest.raises(ConfigError, match=f'another optimiser, AdamW, than {kind}: name that'):
            train(RECIPE, work_dir=tmp_path, resume=True, options=options | LONGER | other)
    with pytest.raises(
        ConfigError, match=r'other groups than .*paramwise_cfg must be as they were'
    ):
        train(RECIPE, work_dir=tmp_path, resume=True, options=options | LONGER | LAYERS)
    options['train_cfg.max_epochs'] = 1
    with pytest.raises(ConfigError, match='max_epochs=1, and the checkpoint has had 2'):
        train(RECIPE, work_dir=tmp_path, resume=True, options=options)
    assert sorted(path.name for path in tmp_path.glob('epoch_*')) == ['epoch_1.pth', 'epoch_2.pth']
