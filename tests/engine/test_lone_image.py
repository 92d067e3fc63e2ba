"""A last batch of one image that torch refuses is told of after the first iteration."""

import pytest
from support import CONFIGS

from vitmm.apis.train import train
from vitmm.engine.hooks.lone_image import LoneImageHook
from vitmm.errors import ConfigError


@pytest.fixture
def options(tiny_options):
    small = {
        'image_scale': (64, 64),
        'crop_size': (64, 64),
        'train_dataloader.batch_size': 7,
        'train_dataloader.dataset.indices': 8,
    }
    return {**tiny_options, **small, 'model.backbone.model_name': 'test_convnext'}


def test_pooled_maps(options, tmp_path):
    done = []

    class Counting(LoneImageHook):
        def after_train_iter(self, runner, *args, **kwargs):
            done.append(runner.iter)
            super().after_train_iter(runner, *args, **kwargs)

    recipe = CONFIGS / 'seg/convnext_pspnet.py'
    words = r'would be one image \(8 in batches of 7\), and decode_head\.psp_modules\.0\.1\.bn has'
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr('vitmm.apis.launch.LoneImageHook', Counting)
        with pytest.raises(ConfigError, match=words):
            train(recipe, work_dir=tmp_path / 'a', options=options)
    assert done == [0]
    options['train_dataloader.drop_last'] = True
    assert train(recipe, work_dir=tmp_path / 'b', options=options).iter == 1


def test_batches_of_one(options, tmp_path):
    options['train_dataloader.batch_size'] = 1
    with pytest.raises(
        ConfigError, match=r'saw one value of each channel: train_dataloader\.batch_size=2'
    ):
        train(CONFIGS / 'seg/convnext_pspnet.py', work_dir=tmp_path, options=options)


def test_a_last_batch_of_a_training_by_iterations(options, tmp_path):
    by_iterations = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
    sampler = dict(type='DefaultSampler', shuffle=True)
    options = {k: v for k, v in options.items() if k != 'train_cfg.max_epochs'}
    options |= {'train_cfg': {'_delete_': True, **by_iterations}}
    options |= {'train_dataloader.sampler': sampler}
    with pytest.raises(ConfigError, match=r'of each channel: where that is the last batch, .*drop'):
        train(CONFIGS / 'seg/convnext_pspnet.py', work_dir=tmp_path, options=options)


def test_tokens_of_one_image_are_many(options, tmp_path):
    options |= {'model.backbone.model_name': 'levit_128s', 'image_scale': (224, 224)}
    options |= {'crop_size': (224, 224)}
    runner = train(CONFIGS / 'seg/convnext_fcn.py', work_dir=tmp_path, options=options)
    assert runner.iter == 2


def test_maps_of_more_pixels_train(options, tmp_path):
    runner = train(CONFIGS / 'seg/convnext_fcn.py', work_dir=tmp_path, options=options)
    assert runner.iter == 2
    assert not any(m._forward_pre_hooks for m in runner.model.modules())
