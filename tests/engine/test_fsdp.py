"""FSDP: two processes on the CPU against one, in float64; and what each of them holds."""

import json
import pickle
from importlib.util import find_spec
from pathlib import Path

import fsdp_worker
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from support import CONFIGS, COUNTS, fork_ranks, needs_fsdp

from vitmm.apis.scalars import last_scores
from vitmm.apis.test import test as evaluate

pytestmark = needs_fsdp
DET, SEG, CLS = (
    CONFIGS / name for name in ('det/vit_retinanet.py', 'seg/vit_fcn.py', 'cls/vit_linear.py')
)
IMAGES = 10  # 5 batches of two: the last group of two batches is half a group
# In float64: weights move by 1e-3 a step. What is left is that mmdet adds float32's epsilon to the
# number that a loss is divided by, and that mmseg's masks are of float32.
CLOSE = dict(rtol=0, atol=1e-8)
PLAIN = {
    'train_dataloader.num_workers': 0,
    'val_dataloader.num_workers': 0,
    'train_dataloader.dataset.pipeline': '${test_pipeline}',  # nothing random
    'train_dataloader.sampler.shuffle': False,
    'env_cfg.mp_cfg': {},
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 5,
    # Without a warm-up, so that few steps move the weights enough to be seen.
    'param_scheduler': [dict(type='CosineAnnealingLR', T_max=10, by_epoch=False)],
}
SMALL_VIT = {'model.backbone.model_kwargs': dict(depth=2, embed_dim=96, num_heads=3, img_size=64)}
TOGETHER = {
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 1,
    **SMALL_VIT,
    'model.backbone.grad_checkpointing': True,
    'model.backbone.frozen_groups': 1,
    'optim_wrapper.constructor': 'vitmm.LayerDecayConstructor',
    'optim_wrapper.paramwise_cfg.layer_decay': 0.75,
    'default_hooks.ema.type': 'EMAHook',
    'default_hooks.ema.momentum': 0.5,
}
ACCUMULATED = {
    **SMALL_VIT,
    'optim_wrapper.accumulative_counts': 2,
    'optim_wrapper.clip_grad.max_norm': 5.0,
    'param_scheduler': [],
}
CLASSES = {
    'model.backbone.model_kwargs': dict(depth=2, img_size=64),
    'image_size': 64,
    'resize_edge': 64,
    'train_dataloader.batch_size': 4,
}
THAWED = {
    **CLASSES,
    'train_cfg.max_epochs': 2,
    'model.backbone.frozen_groups': 'all',
    'default_hooks.thaw.type': 'vitmm.ThawHook',
    'default_hooks.thaw.after': 1,
}
# Weights that are single numbers, which have no slices.
NUMBERS = {
    **CLASSES,
    'model.backbone.model_name': 'test_nfnet',
    'model.backbone.model_kwargs': {},
    'model.backbone.frozen_groups': 0,
}
LORA = {**CLASSES, 'model.backbone.lora': dict(r=4, lora_alpha=8)}
SEGMENTED = {
    'model.backbone.model_kwargs': dict(depth=2, img_size=64),
    'train_dataloader.dataset.pipeline': [
        dict(type='vitmm.LoadImage', channels=3, max_value=None),
        dict(type='mmseg.LoadAnnotations'),
        dict(type='mmseg.Resize', scale=(64, 64), keep_ratio=False),
        dict(type='mmseg.PackSegInputs'),
    ],
    'image_scale': (64, 64),
    'model.decode_head.norm_cfg': dict(type='GN', num_groups=16),  # batches differ in size
    'model.decode_head.dropout_ratio': 0.0,
    'train_dataloader.batch_size': 2,
}

# Windows that slide over images one by one: more of them over the larger ones.
UNEVEN = {
    **SEGMENTED,
    'train_cfg.val_interval': 1,
    'default_hooks.ema.type': 'EMAHook',
    'default_hooks.ema.momentum': 0.5,
    'val_dataloader.batch_size': 1,
    'val_dataloader.dataset.indices': [0, 3],
    'image_scale': (128, 128),
    'model.test_cfg': dict(mode='slide', crop_size=(64, 64), stride=(32, 32)),
    'env_cfg.dist_cfg.timeout': 60,
}


@pytest.fixture(scope='session')
def alike(tmp_path_factory):
    """A COCO data set of noise with the same boxes everywhere.

    RetinaNet's losses are divided by the number of positive anchors of a process's own images: only
    with the same number on both is the mean of two batches the loss of both together.
    """
    root = tmp_path_factory.mktemp('alike')
    random = np.random.default_rng(0)
    for index in range(IMAGES):
        pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f'{index}.png')
    boxes = [[4, 6, 40, 44], [30, 20, 30, 32]]
    content = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=64, height=64) for i in range(IMAGES)],
        annotations=[
            dict(id=1 + 2 * i + j, image_id=i, category_id=j + 1, bbox=box, iscrowd=0,
                 area=box[2] * box[3])
            for i in range(IMAGES) for j, box in enumerate(boxes)
        ],
        categories=[dict(id=1, name='one'), dict(id=2, name='two')],
    )  # fmt: skip
    (root / 'train.json').write_text(json.dumps(content))
    content['images'] = content['images'][:2]
    content['annotations'] = content['annotations'][:4]
    (root / 'val.json').write_text(json.dumps(content))
    return {
        'data_root': str(root),
        'train_ann': 'train.json',
        'val_ann': 'val.json',
        'train_images': '',
        'val_images': '',
        'image_scale': (64, 64),
        'train_dataloader.batch_size': 2,
        'model.test_cfg.score_thr': 0.0,
    }


class Runs:
    """The same trainings twice: in this process, and by FSDP in two with half the batch."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def job(self, name, config, options, parts=1, **more):
        options = {**PLAIN, **options}
        options['train_dataloader.batch_size'] //= parts
        folder = str(self.root / name)
        data = 'coco' if 'train_ann' in options else None
        return dict(config=str(config), work_dir=folder, options=options, data=data, **more)

    def one(self, name, *args, **more):
        fsdp_worker.main([self.job(f'one/{name}', *args, **more)])

    def two(self, jobs):
        path = self.root / 'jobs.pkl'
        path.write_bytes(pickle.dumps(jobs))
        done = fork_ranks(fsdp_worker.__file__, path)
        assert done.returncode == 0, done.stderr[-4000:]

    def saved(self, name, epoch=1):
        return torch.load(self.root / name / f'epoch_{epoch}.pth', weights_only=False)

    def seen(self, name, rank=0):
        return torch.load(self.root / name / f'rank{rank}.pt', weights_only=False)


@pytest.fixture(scope='session')
def donor(tmp_path_factory):
    torch.manual_seed(7)
    model = timm.create_model('vit_tiny_patch16_224', **TOGETHER['model.backbone.model_kwargs'])
    path = tmp_path_factory.mktemp('donor') / 'donor.pth'
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope='session')
def runs(alike, donor, tiny_shapes, tmp_path_factory):
    runs = Runs(tmp_path_factory.mktemp('fsdp'))
    shapes = {
        'data_root': str(tiny_shapes),
        'prepare_data': dict(type='vitmm.write_shapes', root=str(tiny_shapes), **COUNTS),
    }
    pairs = {
        'together': (DET, {**alike, **TOGETHER, 'model.backbone.pretrained': str(donor)}),
        'accumulated': (DET, {**alike, **ACCUMULATED}),
        'thawed': (CLS, {**shapes, **THAWED}),
        'numbers': (CLS, {**shapes, **NUMBERS}),
        'segmented': (SEG, {**shapes, **SEGMENTED}),
        'uneven': (SEG, {**shapes, **UNEVEN}),
    }
    if find_spec('peft'):
        pairs['lora'] = (CLS, {**shapes, **LORA})
    for name, pair in pairs.items():
        runs.one(name, *pair)
    spread = dict(parts=2, launcher='pytorch', fsdp=True)
    first = runs.root / 'one/together/epoch_1.pth'
    again = runs.root / 'two/together/epoch_1.pth'
    runs.two(
        [
            *(runs.job(f'two/{name}', *pair, **spread) for name, pair in pairs.items()),
            runs.job('two/resumed', *pairs['together'], **spread, resume=str(again)),
            runs.job('two/continued', *pairs['together'], **spread, resume=str(first)),
            runs.job('two/ddp', *pairs['accumulated'], parts=2, launcher='pytorch'),
        ]
    )
    large = {'optim_wrapper.accumulative_counts': 1, 'train_dataloader.batch_size': 4}
    runs.one('large', DET, {**alike, **ACCUMULATED, **large})
    runs.one('continued', *pairs['together'], resume=str(again))
    return runs


def assert_same(first: dict, second: dict, moved_from: dict | None = None) -> None:
    assert list(first) == list(second)
    for name in first:
        torch.testing.assert_close(first[name], second[name], **CLOSE, msg=name)
    if moved_from:
        moved = max(float((first[n] - moved_from[n]).abs().max()) for n in first)
        assert moved > 1e-4  # or nothing was shown


@pytest.mark.parametrize(
    'name',
    [
        'together',
        'accumulated',
        'thawed',
        'numbers',
        'segmented',
        'uneven',
        pytest.param('lora', marks=pytest.mark.skipif(not find_spec('peft'), reason='no peft')),
    ],
)
def test_two_processes_train_as_one(runs, name):
    epoch = 2 if name in ('together', 'thawed') else 1
    one, two = (runs.saved(f'{side}/{name}', epoch) for side in ('one', 'two'))
    assert_same(one['state_dict'], two['state_dict'], runs.seen(f'one/{name}')['start'])
    # All that is saved besides: names, kinds, optimiser and schedules.
    assert one.keys() == two.keys()
    states = [content['optimizer'] for content in (one, two)]
    assert states[0].keys() == states[1].keys() and states[0]['state']
    for index, values in states[0]['state'].items():
        for key, value in values.items():
            torch.testing.assert_close(value, states[1]['state'][index][key], **CLOSE)
    groups = [state['param_groups'] for state in states]
    assert [g['params'] for g in groups[0]] == [g['params'] for g in groups[1]]
    assert [g['lr'] for g in groups[0]] == [g['lr'] for g in groups[1]]
    assert str(one['param_schedulers']) == str(two['param_schedulers'])
    if 'ema_state_dict' in one:
        assert_same(one['ema_state_dict'], two['ema_state_dict'])
    assert 'runner_type' not in two['meta']['cfg']


def test_the_norm_that_is_clipped_and_logged_is_of_all_gradients(runs):
    # AdamW does not feel the scale of gradients: a sum in place of a mean would show here only.
    for name in ('together', 'accumulated', 'thawed', 'numbers', 'segmented'):
        one, two = (runs.seen(f'{side}/{name}')['norms'] for side in ('one', 'two'))
        assert one and one == pytest.approx(two, rel=1e-8)
        assert runs.seen(f'two/{name}', 1)['norms'] == runs.seen(f'two/{name}')['norms']


def test_pretrained_weights_are_what_training_starts_from(runs, donor):
    given = torch.load(donor)
    start = runs.seen('two/together')['start']
    prefix = 'backbone.model.'
    taken = {k.removeprefix(prefix): v for k, v in start.items() if k.startswith(prefix)}
    assert len(taken) > 20
    for name, tensor in taken.items():
        assert torch.equal(tensor, given[name].double()), name


@pytest.mark.parametrize('name', ['two/resumed', 'two/continued', 'one/continued'])
def test_resumed_with_and_without_it_is_as_straight(runs, name):
    straight, resumed = runs.saved('two/together', 2), runs.saved(name, 2)
    assert resumed['meta']['iter'] == straight['meta']['iter'] == IMAGES
    assert_same(straight['state_dict'], resumed['state_dict'])
    assert_same(straight['ema_state_dict'], resumed['ema_state_dict'])


def test_processes_that_predict_more_often_than_others_validate_as_one(runs):
    one, two = (
        last_scores(next((runs.root / side / 'uneven').rglob('scalars.json')))
        for side in ('one', 'two')
    )
    assert one and two == pytest.approx(one, abs=1e-9)


def test_one_process_tests_what_two_have_saved(runs):
    folder = runs.root / 'two/together'
    (scalars,) = folder.rglob('scalars.json')
    figures = last_scores(scalars)
    with fsdp_worker.float64():
        tested = evaluate(folder / DET.name, folder / 'epoch_2.pth', work_dir=runs.root / 'test')
    assert figures and tested == pytest.approx(figures, abs=1e-9)
    assert next(folder.glob('best_*.pth'))


def test_two_small_batches_are_one_large_batch(runs):
    # Ten images: two groups of 2 + 2, and one of 2 at the end.
    one, large = runs.seen('one/accumulated'), runs.seen('one/large')
    assert len(one['norms']) == len(large['norms']) == 3
    assert one['norms'] == pytest.approx(large['norms'], rel=1e-8)
    assert_same(one['end'], large['end'], one['start'])


def test_accumulation_under_ddp_is_the_same(runs):
    assert_same(runs.saved('one/accumulated')['state_dict'], runs.saved('two/ddp')['state_dict'])


def test_each_process_holds_about_half(runs):
    one, *two = (
        runs.seen(n, r) for n, r in [('one/together', 0), ('two/together', 0), ('two/together', 1)]
    )
    assert one['own'] == one['whole'] == two[0]['whole'] == sum(seen['own'] for seen in two)
    assert one['own_state'] == sum(seen['own_state'] for seen in two)
    for seen in two:
        assert 0.45 < seen['own'] / seen['whole'] < 0.55
        assert 0.45 < seen['own_state'] / one['own_state'] < 0.55
