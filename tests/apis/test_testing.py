"""Evaluating a checkpoint leaves its training as it was."""

import re

import pytest
import torch
from mmengine.config import Config
from support import CONFIGS, SMALL_CLASSIFIER

from vitmm.apis.publish import publish
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.compat.checkpoint import CheckpointError
from vitmm.config.beside import beside_training
from vitmm.errors import WeightsError

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'


def test_the_resolved_config_of_the_training_stays(trained, tmp_path):
    checkpoint = trained('cls')
    (config,) = (file for file in checkpoint.parent.glob('*.py') if '_test' not in file.name)
    before = config.read_text()
    evaluate(config, checkpoint, out=tmp_path / 'out.pkl', work_dir=checkpoint.parent)
    assert config.read_text() == before


@pytest.mark.parametrize('content', [None, b'no checkpoint'], ids=['missing', 'broken'])
def test_a_bad_checkpoint_is_told_of_before_anything_is_written(content, tiny_options, tmp_path):
    file = tmp_path / 'a.pth'
    if content:
        file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'a\.pth (does not exist|cannot be read)'):
        evaluate(RECIPE, file, work_dir=tmp_path / 'out', options=tiny_options)
    assert not (tmp_path / 'out').exists()


def test_a_name_is_free_or_the_trainings_stays(tmp_path):
    config = Config(dict(work_dir=str(tmp_path)), cfg_text='…', filename='elsewhere/mine.py')
    assert beside_training(config, 'knn').filename == 'elsewhere/mine.py'
    (tmp_path / 'mine.py').touch()
    beside = beside_training(config, 'knn')
    assert beside.filename == str(tmp_path / 'mine_knn.py')
    assert beside.to_dict() == config.to_dict()


@pytest.mark.parametrize('how', ['test', 'resume', 'load_from'])
def test_another_models_checkpoint_is_told_of_before_anything_is_built(
    how, trained, tiny_options, tmp_path
):
    other = trained('seg')
    options = {**tiny_options, **SMALL_CLASSIFIER, 'model.backbone.model_name': 'test_vit'}
    words = r'another model|holds no tensor of the model .*model\.backbone\.pretrained'
    with pytest.raises(WeightsError, match=words):
        if how == 'test':
            evaluate(RECIPE, other, work_dir=tmp_path / 'out', options=options)
        elif how == 'resume':
            train(RECIPE, work_dir=tmp_path / 'out', resume=other, options=options)
        else:
            options['load_from'] = str(other)
            train(RECIPE, work_dir=tmp_path / 'out', options=options)
    assert not (tmp_path / 'out').exists()  # no log, no config


def test_weights_alone_are_no_training_to_go_on_with(trained, tiny_options, tmp_path):
    publish(trained('cls'), tmp_path / 'published')
    options = {**tiny_options, **SMALL_CLASSIFIER}
    with pytest.raises(CheckpointError, match=r'published holds weights alone.* load_from='):
        train(RECIPE, work_dir=tmp_path / 'out', resume=tmp_path / 'published', options=options)
    assert not (tmp_path / 'out').exists()


def test_a_backbone_that_load_from_has_nothing_of_is_from_nothing(
    trained, tiny_options, tmp_path, capfd
):
    options = {**tiny_options, **SMALL_CLASSIFIER, 'load_from': str(trained('cls'))}
    train(RECIPE, work_dir=tmp_path / 'a', options=options)
    assert re.search(r'backbone +test_resnet, from ', capfd.readouterr().out)
    content = torch.load(trained('cls'))
    state = content['state_dict'].items()
    content['state_dict'] = {k: v for k, v in state if not k.startswith('backbone.')}
    torch.save(content, tmp_path / 'head.pth')
    options['load_from'] = str(tmp_path / 'head.pth')
    train(RECIPE, work_dir=tmp_path / 'b', options=options)
    assert 'test_resnet, from nothing' in capfd.readouterr().out


def test_a_training_says_how_much_of_its_beginning_it_has(trained, tiny_options, tmp_path, capfd):
    content = torch.load(trained('cls'))
    state = content['state_dict']
    state['head.fc.weight'], state['head.fc.bias'] = torch.zeros(9, 4), torch.zeros(9)
    torch.save(content, tmp_path / 'nine.pth')
    options = {**tiny_options, **SMALL_CLASSIFIER, 'load_from': str(tmp_path / 'nine.pth')}
    train(RECIPE, work_dir=tmp_path / 'out', options=options)
    told = capfd.readouterr()
    count = len(state)
    assert (
        f'nine.pth fills {count - 2} of the {count} tensors of the model; begin anew: '
        'head.fc.weight, head.fc.bias' in told.out + told.err
    )
