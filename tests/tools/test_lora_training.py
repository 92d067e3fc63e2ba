"""LoRA in the three tasks: trained, merged, tested as the plain model, resumed."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from support import CONFIGS, fork_tool

from vitmm.apis.merge import merge_checkpoint
from vitmm.apis.scalars import last_scores
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.errors import ConfigError, WeightsError
from vitmm.models.backbones.lora import is_adapter

needs_peft = pytest.mark.skipif(
    find_spec('peft') is None, reason='LoRA needs peft: pip install peft'
)
RECIPES = {
    'det': (
        CONFIGS / 'det' / 'vit_retinanet.py',
        {'image_scale': (96, 96), 'model.test_cfg.score_thr': 0.0},
    ),
    'seg': (
        CONFIGS / 'seg' / 'vit_upernet.py',
        {'image_scale': (96, 96), 'crop_size': (96, 96)},
    ),
    'cls': (CONFIGS / 'cls' / 'vit_linear.py', {'image_size': 64, 'resize_edge': 64}),
}
# Without a warm-up, so that one epoch moves the adapters enough to be seen.
QUICK = {'param_scheduler': [], 'optim_wrapper.optimizer.lr': 1e-2}
LORA = {'model.backbone.lora': dict(r=4, lora_alpha=16, lora_dropout=0.1)}
QKV = 'backbone.model.blocks.0.attn.qkv'


def plain_options(task, tiny_options):
    return {**tiny_options, **RECIPES[task][1], **QUICK}


@pytest.fixture
def trained(tiny_options, tmp_path):
    """Train a task for an epoch with LoRA; returns the folder, the runner and the options."""

    def run(task, **more):
        options = {**plain_options(task, tiny_options), **LORA, **more}
        folder = tmp_path / 'run'
        return folder, train(RECIPES[task][0], work_dir=folder, options=options), options

    return run


@needs_peft
@pytest.mark.parametrize('task', RECIPES)
def test_the_merged_model_tests_as_the_trained_one(task, trained, tiny_options, tmp_path):
    folder, runner, _ = trained(task, **{'default_hooks.merge': dict(type='vitmm.MergeLoRAHook')})
    for name, parameter in runner.model.named_parameters():
        inside = name.startswith('backbone.')
        if inside and not name.startswith('backbone.model.'):
            continue  # our norms around timm's model
        assert parameter.requires_grad == (is_adapter(name) or not inside), name

    adapted = torch.load(folder / 'epoch_1.pth')['state_dict']
    merged = torch.load(folder / 'merged.pth')['state_dict']
    assert not any(is_adapter(key) or 'base_layer' in key for key in merged)
    assert not torch.equal(merged[f'{QKV}.weight'], adapted[f'{QKV}.base_layer.weight'])
    assert torch.equal(merged[f'{QKV}.bias'], adapted[f'{QKV}.base_layer.bias'])

    config, _ = RECIPES[task]
    figures = last_scores(Path(runner._log_dir) / 'vis_data' / 'scalars.json')
    # By the config beside it, and by the ordinary recipe.
    for kind, options in (
        (folder / 'merged.py', None),
        (config, plain_options(task, tiny_options)),
    ):
        tested = evaluate(kind, folder / 'merged.pth', work_dir=tmp_path / 'test', options=options)
        assert {k: float(tested[k]) for k in figures} == pytest.approx(figures, abs=1e-3)
    text = (folder / 'merged.py').read_text()
    assert 'lora=' not in text
    assert 'LoRA' not in text


@needs_peft
def test_the_tool_merges_any_checkpoint(trained, tmp_path):
    folder, _, _ = trained('cls')
    done = fork_tool('merge_lora.py', folder / 'epoch_1.pth', tmp_path / 'out' / 'm.pth')
    assert done.returncode == 0, done.stderr[-2000:]
    assert f'python tools/test.py {tmp_path}/out/m.py {tmp_path}/out/m.pth' in done.stdout
    merged = torch.load(tmp_path / 'out' / 'm.pth')
    assert merged['meta']['cfg'] == (tmp_path / 'out' / 'm.py').read_text()
    assert merged['meta']['epoch'] == 1
    assert 'optimizer' not in merged
    again = fork_tool('merge_lora.py', tmp_path / 'out' / 'm.pth')
    assert again.returncode == 1
    assert 'error: ' in again.stderr
    assert 'without model.backbone.lora' in again.stderr
    assert 'Traceback' not in again.stderr

    # Its config can also lie beside it, where its run has written it.
    checkpoint = torch.load(folder / 'epoch_1.pth')
    del checkpoint['meta']['cfg']
    torch.save(checkpoint, folder / 'bare.pth')
    merge_checkpoint(folder / 'bare.pth', tmp_path / 'bare.pth')
    bare = torch.load(tmp_path / 'bare.pth')['state_dict']
    assert all(torch.equal(value, merged['state_dict'][key]) for key, value in bare.items())

    # Half a checkpoint.
    checkpoint = torch.load(folder / 'epoch_1.pth')
    del checkpoint['state_dict'][f'{QKV}.lora_A.default.weight']
    torch.save(checkpoint, folder / 'half.pth')
    with pytest.raises(WeightsError, match=r'half\.pth does not fit.*lora_A'):
        merge_checkpoint(folder / 'half.pth')


@needs_peft
def test_a_resumed_run_is_the_same_run(trained, tmp_path):
    folder, _, options = trained('cls', **{'train_cfg.max_epochs': 2})
    (tmp_path / 'broken').mkdir()
    shutil.copy(folder / 'epoch_1.pth', tmp_path / 'broken')
    train(RECIPES['cls'][0], work_dir=tmp_path / 'broken', resume=True, options=options)
    first, straight, resumed = (
        torch.load(path)['state_dict']
        for path in (
            folder / 'epoch_1.pth',
            folder / 'epoch_2.pth',
            tmp_path / 'broken/epoch_2.pth',
        )
    )
    for key, value in straight.items():
        assert torch.equal(value, resumed[key]), key
        trains = is_adapter(key) or key.startswith('head.')
        assert torch.equal(value, first[key]) != trains, key


def test_nothing_to_merge(tiny_options, tmp_path):
    torch.save({'meta': {}, 'state_dict': {}}, tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match=r'a\.pth holds no config'):
        merge_checkpoint(tmp_path / 'a.pth')
    torch.save({'meta': {'cfg': "import os\nos.system('true')"}}, tmp_path / 'b.pth')
    with pytest.raises(ConfigError, match='not plain'):
        merge_checkpoint(tmp_path / 'b.pth')
    with pytest.raises(ConfigError, match=r'another \.pth file'):
        merge_checkpoint(tmp_path / 'a.pth', tmp_path / 'a.pth')
    options = {
        **plain_options('cls', tiny_options),
        'default_hooks.merge': dict(type='vitmm.MergeLoRAHook'),
    }
    with pytest.raises(ConfigError, match='nothing to merge'):
        train(RECIPES['cls'][0], work_dir=tmp_path / 'w', options=options)
