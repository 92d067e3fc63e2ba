"""Trackers by name: what a config says of them, and what MMEngine is told."""

import pytest
from mmengine.config import Config
from support import CONFIGS

from vitmm.apis.launch import prepare
from vitmm.config import load_config, resolve, trackers
from vitmm.config.trackers import TRACKERS, add_trackers
from vitmm.errors import ConfigError

CLS = CONFIGS / 'cls' / 'vit_linear.py'


def backends(config):
    return {b['type']: {k: v for k, v in b.items() if k != 'type'} for b in config}


def resolved(tiny_options, **options):
    return resolve(load_config(CLS, options={**tiny_options, **options}))


def test_tensorboard_is_there_by_default_and_can_go(tiny_options):
    config = resolved(tiny_options)
    assert list(backends(config.visualizer.vis_backends)) == [
        'LocalVisBackend',
        'TensorboardVisBackend',
    ]
    config = resolved(tiny_options, **{'trackers.tensorboard': False})
    assert list(backends(config.visualizer.vis_backends)) == ['LocalVisBackend']


def test_one_option_adds_a_tracker(tiny_options, tmp_path):
    options = {
        'trackers.wandb.project': 'birds',
        'trackers.wandb.group': '${model.backbone.model_name}',
        'trackers.wandb.commit': False,
        'trackers.mlflow': True,
    }
    config = resolved(tiny_options, **options)
    found = backends(config.visualizer.vis_backends)
    assert list(found)[2:] == ['WandbVisBackend', 'vitmm.MLflowVisBackend']
    # What MMEngine's backend takes goes to it, the rest to wandb.init.
    assert found['WandbVisBackend']['init_kwargs'] == {
        'project': 'birds',
        'group': 'vit_tiny_patch16_224',
    }
    assert found['WandbVisBackend']['commit'] is False
    assert config.vis_backends == config.visualizer.vis_backends
    # The dumped config says the same, and takes other options.
    config.dump(tmp_path / 'dumped.py')
    again = resolve(load_config(tmp_path / 'dumped.py'))
    assert again.to_dict() == Config.fromfile(tmp_path / 'dumped.py').to_dict()
    options = {'trackers.wandb.project': 'fish', 'trackers.mlflow': False}
    again = resolve(load_config(tmp_path / 'dumped.py', options=options))
    found = backends(again.visualizer.vis_backends)
    assert found['WandbVisBackend']['init_kwargs']['project'] == 'fish'
    assert not any('MLflow' in name for name in found)


def test_a_recipe_names_one(tmp_path):
    recipe = tmp_path / 'mine.py'
    recipe.write_text(f"_base_ = [{str(CLS)!r}]\ntrackers = dict(aim=dict(repo='aim://here'))\n")
    told = {'classes': ['a'], 'num_classes': 1}
    config = resolve(load_config(recipe), {'data': told})
    found = backends(config.visualizer.vis_backends)
    assert found['AimVisBackend'] == {'init_kwargs': {'repo': 'aim://here'}}
    assert 'TensorboardVisBackend' in found


@pytest.mark.parametrize('name', TRACKERS)
def test_each_is_a_backend_of_mmengine(name):
    from mmengine.registry import VISBACKENDS

    kind = VISBACKENDS.get(TRACKERS[name].backend)
    assert kind.__name__ == TRACKERS[name].kind
    config = {'trackers': {name: True}}  # no visualizer, as in a config of nobody's
    add_trackers(config)
    (local, told) = config['visualizer']['vis_backends']
    settings = {k: v for k, v in told.items() if k != 'type'}
    kind(save_dir='nowhere', **settings)
    before = [local, dict(told)]
    add_trackers(config)
    assert config['visualizer']['vis_backends'] == before


@pytest.mark.parametrize(
    ('said', 'words'),
    [
        ({'wnadb': True}, ['trackers.wnadb', 'mean wandb?', 'dvclive']),
        ({'mlflow': {'exp_nme': 1}}, ['trackers.mlflow.exp_nme', 'mean exp_name', 'tracking_uri']),
        ({'wandb': 'birds'}, ['trackers.wandb', 'birds', 'trackers.wandb.name=NAME']),
        ('wandb', ['wandb', 'trackers.wandb=True']),
    ],
)
def test_what_does_not_exist_is_named(said, words):
    with pytest.raises(ConfigError) as error:
        add_trackers({'trackers': said})
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'trackers.wandb': True}, 'wandb is not installed: pip install wandb '),
        ({'trackers.dvclive': True}, 'pygit2 is not installed: pip install dvclive pygit2'),
        # OpenMMLab's own way of asking for one.
        ({'vis_backends': [dict(type='AimVisBackend')]}, 'aim is not installed: pip install aim'),
    ],
)
def test_a_missing_package_is_told_before_anything(options, words, monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: None if name != 'tensorboard' else 1)
    # Nothing else is right: no data, and a backbone that does not exist.
    options = {**options, 'data_root': '/nowhere', 'model.backbone.model_name': 'no_such'}
    with pytest.raises(ConfigError, match=words):
        prepare(CLS, options=options, work_dir=tmp_path, tracked=True)


def test_a_test_is_no_run_of_its_own(tiny_options, monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: None if name == 'wandb' else 1)
    config = resolved(tiny_options, **{'trackers.wandb': True})
    config.dump(tmp_path / 'dumped.py')  # by the machine that trained
    tested = prepare(tmp_path / 'dumped.py', work_dir=tmp_path)
    found = backends(tested.visualizer.vis_backends)
    assert list(found) == ['LocalVisBackend', 'TensorboardVisBackend']


def test_the_run_has_the_name_of_its_work_dir(tiny_options, monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: 1)
    options = {**tiny_options, 'trackers.wandb': True, 'trackers.mlflow.run_name': 'mine'}
    config = prepare(CLS, options=options, work_dir=tmp_path / 'birds_3', tracked=True)
    found = backends(config.visualizer.vis_backends)
    assert found['WandbVisBackend']['init_kwargs'] == {'name': 'birds_3'}
    assert found['vitmm.MLflowVisBackend']['run_name'] == 'mine'
