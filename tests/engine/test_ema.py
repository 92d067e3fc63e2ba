"""The average of the weights, by MMEngine's hook as one option of any recipe."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from support import CONFIGS

from vitmm.apis.scalars import last_scores
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'
NAME = 'head.fc.weight'


def test_the_average_is_validated_and_saved(tiny_options, tmp_path, capfd):
    seen = []

    @HOOKS.register_module(force=True)
    class WatchTheAverage(Hook):
        priority = 'VERY_HIGH'  # before the average takes its step

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append(runner.model.state_dict()[NAME].clone())

    options = {
        **tiny_options,
        'image_size': 64,
        'resize_edge': 64,
        'model.backbone.model_name': 'test_resnet',
        'default_hooks.ema.type': 'EMAHook',
        'default_hooks.ema.momentum': 0.3,
        'default_hooks.watch.type': 'WatchTheAverage',
    }
    runner = train(RECIPE, work_dir=tmp_path / 'a', options=options)
    average = seen[0]
    for value in seen[1:]:
        average = 0.7 * average + 0.3 * value
    last = tmp_path / 'a' / 'epoch_1.pth'
    saved = torch.load(last)['state_dict'][NAME]
    torch.testing.assert_close(saved, average)
    assert not torch.allclose(saved, seen[-1], rtol=1e-4)
    (log,) = (tmp_path / 'a').glob('*/vis_data/scalars.json')
    # Without the hook the checkpoint is the average itself.
    plain = {key: v for key, v in options.items() if not key.startswith('default_hooks')}
    tested = evaluate(RECIPE, last, work_dir=tmp_path / 'b', options=plain)
    assert tested['accuracy/top1'] == pytest.approx(last_scores(log)['accuracy/top1'])
    assert runner.epoch == 1
    capfd.readouterr()
    for going_on in (options, plain):  # with it nothing is said, without it the average goes on
        going_on = {**going_on, 'train_cfg.max_epochs': 2}
        train(RECIPE, work_dir=tmp_path / 'c', resume=last, options=going_on)
        told = ''.join(capfd.readouterr())
        assert ('goes on from the average' in told) is ('default_hooks.ema.type' not in going_on)
