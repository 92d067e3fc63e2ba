"""A published folder: the same results, nothing else inside, and a card that tells the truth."""

import hashlib
import json
import re

import pytest
import torch
from mmengine.registry import MODELS
from safetensors import safe_open
from support import CONFIGS

from vitmm.apis.inference import Predictor
from vitmm.apis.launch import prepare
from vitmm.apis.publish import publish
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.config.model_settings import model_settings
from vitmm.config.stored import read_stored
from vitmm.datasets.errors import DataError
from vitmm.errors import VitmmError, WeightsError


@pytest.fixture(params=['cls', 'det', 'seg', 'depth'])
def any_model(request, trained):
    return trained(request.param)


def test_a_published_folder_measures_the_same(any_model, tmp_path):
    folder = publish(any_model, tmp_path / 'published', licence='apache-2.0')
    assert {p.name for p in folder.iterdir()} == {'model.safetensors', 'config.py', 'README.md'}
    config = next(any_model.parent.glob('*.py'))
    figures = evaluate(config, any_model, work_dir=tmp_path / 'test')
    assert figures
    assert evaluate(folder, None, work_dir=tmp_path / 'published_test') == figures
    card = (folder / 'README.md').read_text()
    for name, value in figures.items():
        assert value == -1 or f'| {name} | {value:.4f} |' in card
    digest = hashlib.sha256((folder / 'model.safetensors').read_bytes()).hexdigest()
    assert digest in card
    assert 'license: apache-2.0' in card
    assert 'test_resnet' in card


@pytest.mark.parametrize('by_epoch', [None, True])
def test_a_card_of_a_training_by_iterations(by_epoch, tiny_options, tmp_path):
    options = {
        **{key: value for key, value in tiny_options.items() if key != 'train_cfg.max_epochs'},
        'image_size': 32,
        'resize_edge': 32,
        'model.backbone.model_name': 'test_resnet',
        'train_cfg._delete_': True,
        'train_cfg.type': 'IterBasedTrainLoop',
        'train_cfg.max_iters': 8,
        'train_cfg.val_interval': 4,
        'optim_wrapper.optimizer.lr': 0.05,
        'param_scheduler': [],
    }
    if by_epoch:  # all validations are logged at epoch 0
        options['default_hooks.logger.log_metric_by_epoch'] = True
    train(CONFIGS / 'cls' / 'vit_linear.py', work_dir=tmp_path, options=options)
    (config,) = tmp_path.glob('*.py')
    for step in (4, 8):
        checkpoint = tmp_path / f'iter_{step}.pth'
        figures = evaluate(config, checkpoint, work_dir=tmp_path / 'test')
        folder = publish(checkpoint, tmp_path / f'published_{step}')
        card = (folder / 'README.md').read_text()
        for name, value in figures.items():
            assert (f'| {name} | {value:.4f} |' in card) is not bool(by_epoch)
        assert ('Not known here' in card) is bool(by_epoch)


def test_folder_and_file_are_checkpoints_of_any_config(trained, tmp_path):
    checkpoint = trained('cls')
    folder = publish(checkpoint, tmp_path / 'published')
    config = next(checkpoint.parent.glob('*.py'))
    figures = evaluate(config, checkpoint, work_dir=tmp_path / 'test')
    for cfg, weights in ((folder / 'config.py', folder), (config, folder / 'model.safetensors')):
        assert evaluate(cfg, weights, work_dir=tmp_path / 'test') == figures


def test_a_published_folder_predicts_the_same(trained, tiny_shapes, tmp_path):
    checkpoint = trained('cls')
    assert 'ema_state_dict' in torch.load(checkpoint)
    folder = publish(checkpoint, tmp_path / 'published')
    images = f'{tiny_shapes}/JPEGImages/val*.jpg'
    ours = dict(Predictor(checkpoint)(images))
    for place in (folder, folder / 'model.safetensors'):
        predictor = Predictor(place)
        assert predictor.classes == Predictor(checkpoint).classes
        found = dict(predictor(images))
        assert all(torch.equal(found[p].pred_score, ours[p].pred_score) for p in ours)
    assert 'not stated' in (folder / 'README.md').read_text()


def test_what_building_changes_is_not_published(tiny_options, tiny_shapes, tmp_path):
    """mmdet's transformers write into the settings that they are built of."""
    small = {
        'model.backbone.model_name': 'test_resnet', 'image_scale': (64, 64),
        'model.num_queries': 5, 'model.test_cfg.max_per_img': 5,
        'data_root': str(tiny_shapes), 'prepare_data': None,
    }  # fmt: skip
    config = prepare(CONFIGS / 'det/resnet_deformable_detr.py', options=small, work_dir=tmp_path)
    meta = {'cfg': config.pretty_text, 'dataset_meta': config.train_dataloader.dataset.metainfo}
    model = MODELS.build(model_settings(config))
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, tmp_path / 'a.pth')
    folder = publish(tmp_path / 'a.pth', tmp_path / 'published')
    image = next((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    scores = [
        next(iter(Predictor(path, device='cpu')(image)))[1].pred_instances.scores
        for path in (tmp_path / 'a.pth', folder)
    ]
    assert len(scores[0]) and torch.equal(*scores)


def test_only_what_is_tested_is_written(trained, tmp_path):
    checkpoint = trained('cls')
    folder = publish(checkpoint, tmp_path / 'published')
    state = torch.load(checkpoint)['state_dict']
    with safe_open(folder / 'model.safetensors', 'pt') as file:
        assert set(file.keys()) == set(state)
        assert all(torch.equal(file.get_tensor(key), state[key]) for key in state)
        told = file.metadata()
    assert told['task'] == 'cls'
    assert re.fullmatch(r'vit_linear(_\d+)?', told['config'])  # the number of a process's run
    assert 'circle' in json.loads(told['dataset_meta'])['classes']
    config = read_stored((folder / 'config.py').read_text())  # plain: nothing runs
    assert 'work_dir' not in config
    assert str(checkpoint.parent) not in str(config)


def test_tensors_of_one_memory(trained, tmp_path):
    content = torch.load(trained('seg'))
    state = content['state_dict']
    names = [k for k in state if k.endswith('.bias')]
    first, second = next(
        (a, b) for a in names for b in names if a < b and state[a].shape == state[b].shape
    )
    state[second] = state[first]
    torch.save(content, tmp_path / 'tied.pth')
    loaded = torch.load(tmp_path / 'tied.pth')['state_dict']
    assert loaded[first].data_ptr() == loaded[second].data_ptr()
    folder = publish(tmp_path / 'tied.pth', tmp_path / 'published')
    with safe_open(folder / 'model.safetensors', 'pt') as file:
        assert set(file.keys()) == set(state)
        assert torch.equal(file.get_tensor(second), state[first])
    assert 'Not known here' in (folder / 'README.md').read_text()  # no logs beside it


def test_a_folder_that_holds_something_is_left_alone(trained, tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/notes.txt').write_text('mine')
    with pytest.raises(DataError, match='mine is there already'):
        publish(trained('cls'), tmp_path / 'mine')
    assert [p.name for p in tmp_path.rglob('*')] == ['mine', 'notes.txt']
    (tmp_path / 'empty').mkdir()
    publish(trained('cls'), tmp_path / 'empty')
    assert (tmp_path / 'empty/README.md').is_file()


def test_nothing_is_left_behind_by_a_failure(trained, tmp_path):
    content = torch.load(trained('cls'))
    content['state_dict'].pop('head.fc.bias')
    torch.save(content, tmp_path / 'bad.pth')
    with pytest.raises(WeightsError, match=r'head\.fc\.bias'):
        publish(tmp_path / 'bad.pth', tmp_path / 'published')
    assert [p.name for p in tmp_path.iterdir()] == ['bad.pth']


def test_a_damaged_folder_is_told_of(trained, tmp_path):
    folder = publish(trained('cls'), tmp_path / 'published')
    weights = folder / 'model.safetensors'
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VitmmError, match='cannot be read'):
        Predictor(folder)
    weights.write_bytes(whole)
    (folder / 'config.py').unlink()
    with pytest.raises(VitmmError, match='no config'):
        Predictor(folder)
