import pytest
import torch
from mmengine.config import Config
from support import CONFIGS, ROOT, as_cfg_options, fork_ranks, on_path

from vitmm.apis.train import train
from vitmm.errors import ConfigError

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'


def weights(path):
    state = torch.load(path, weights_only=False)['state_dict']
    return {k: v for k, v in state.items() if k.startswith('backbone.model.blocks.0')}


@pytest.fixture
def run(tiny_options, tmp_path):
    def go(**options):
        recipe = tmp_path / 'recipe.py'
        Config(
            dict(
                _base_=str(RECIPE),
                custom_hooks=[
                    dict(type='vitmm.EpochSeedHook'),
                    dict(type='vitmm.ThawHook', after=1, frozen_groups=options.pop('keep', 0)),
                ],
            )
        ).dump(recipe)
        changed = {
            **tiny_options,
            'train_cfg.max_epochs': 2,
            'model.backbone.frozen_groups': 'all',
            'default_hooks.checkpoint.max_keep_ckpts': 5,
            **options,
        }
        return train(recipe, work_dir=tmp_path / 'run', options=changed)

    return go


def test_frozen_for_an_epoch_then_trained(run, tmp_path, capfd):
    runner = run()
    start = runner.model.backbone.state_dict()
    first, second = (weights(tmp_path / 'run' / f'epoch_{e}.pth') for e in (1, 2))
    assert first.keys() == second.keys()
    assert all(not torch.equal(first[k], second[k]) for k in first if k.endswith('weight'))
    assert all(p.requires_grad for p in runner.model.backbone.parameters())
    assert start.keys()
    log = capfd.readouterr()
    assert 'thawed: ' in log.out + log.err
    assert 'nothing will thaw' not in log.out + log.err


def test_what_never_comes_is_told_of(run, capfd):
    run(**{'train_cfg.max_epochs': 1})
    log = capfd.readouterr()
    assert 'after=1, and the training has 1 epochs: nothing will thaw' in log.out + log.err


def test_what_is_kept_frozen_stays(run, tmp_path):
    run(keep=2)  # the stem and the first block
    first, second = (weights(tmp_path / 'run' / f'epoch_{e}.pth') for e in (1, 2))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_an_optimiser_that_lacks_what_is_to_thaw(run):
    with pytest.raises(ConfigError, match='LayerDecayConstructor'):
        run(**{'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0)})


def test_thawed_parameters_learn_alike_in_two_processes(tiny_options, tmp_path):
    # A distributed wrapper that was made before would not reduce what has thawed since.
    words = as_cfg_options(
        {
            **tiny_options,
            'train_cfg.max_epochs': 2,
            'model.backbone.frozen_groups': 'all',
            'default_hooks.thaw.type': 'vitmm.ThawHook',
            'default_hooks.thaw.after': 1,
            'default_hooks.ranks.type': 'SaveEachRank',
            'custom_imports.imports': '[vitmm,save_each_rank]',
        }
    )
    done = fork_ranks(
        ROOT / 'tools/train.py', RECIPE, '--launcher', 'pytorch', '--work-dir', tmp_path,
        '--cfg-options', *words, env=on_path(ROOT / 'tests/tools'),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f'rank{r}.pth') for r in (0, 1))
    assert all(torch.equal(first[k], second[k]) for k in first)
    before, after = (weights(tmp_path / f'epoch_{e}.pth') for e in (1, 2))
    assert any(not torch.equal(before[k], after[k]) for k in before)
