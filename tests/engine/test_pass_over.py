"""A training by iterations goes on with the images that come next, and loads few others."""

from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from support import CONFIGS, SMALL_CLASSIFIER

from vitmm.apis.train import train
from vitmm.datasets import loading

BASES = ('models/gem', 'datasets/cls/shapes', 'schedules/adamw_iterations', 'runtime/cls')


@HOOKS.register_module()
class NoteImages(Hook):
    """The images of each iteration."""

    seen: list = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append([sample.img_path for sample in data_batch['data_samples']])


@pytest.fixture
def by_iterations(tiny_options, tmp_path):
    """A training of 9 iterations with checkpoints of each third; returns its Runner."""
    recipe = tmp_path / 'recipe.py'
    paths = [str(CONFIGS / '_base_' / f'{base}.py') for base in BASES]
    recipe.write_text(
        f'_base_ = {paths}\ntrain_cfg = dict(max_iters=9, val_interval=3)\nwarmup_iters = 2\n'
    )
    del tiny_options['train_cfg.max_epochs']
    options = {
        **tiny_options,
        **SMALL_CLASSIFIER,
        'custom_hooks': [dict(type='vitmm.EpochSeedHook'), dict(type='NoteImages')],
        'default_hooks.checkpoint.interval': 3,
        'default_hooks.checkpoint.max_keep_ckpts': 3,
    }

    def run(workers, resume=False, **more):
        NoteImages.seen = []
        more |= {f'{split}_dataloader.num_workers': workers for split in ('train', 'val')}
        return train(recipe, work_dir=tmp_path, options={**options, **more}, resume=resume)

    return run


@pytest.mark.parametrize('workers', [0, 1])
def test_the_next_images_come(workers, by_iterations, tmp_path, monkeypatch):
    by_iterations(workers)
    straight = NoteImages.seen
    assert len(straight) == 9

    loaded = []
    plain = loading.LoadImage.transform

    def note(self, results):
        loaded.append(results['img_path'])
        return plain(self, results)

    monkeypatch.setattr(loading.LoadImage, 'transform', note)
    by_iterations(workers, resume=tmp_path / 'iter_6.pth')
    assert NoteImages.seen == straight[6:]
    if not workers:  # those of workers are noted in their processes
        trained = [path for path in loaded if Path(path).parts[-3] == 'train']
        assert trained == [path for batch in straight[6:] for path in batch]


def test_its_runner_trains_on(by_iterations):
    runner = by_iterations(1)
    runner.train_loop._max_iters = 11
    runner.train()
    assert runner.iter == 11
