"""A GPU against the CPU: the same losses, gradients, averages and predictions.

``pytest -m cuda`` runs these. The CPU's side runs in the same process, in single precision:
MMEngine is told to take it.
"""

import json
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from support import CONFIGS, as_cfg_options, needs_fsdp, run_tool

from vitmm.apis.inference import Predictor
from vitmm.apis.scalars import last_scores
from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train

pytestmark = pytest.mark.cuda

DEVICE, BACKEND = 'cuda', 'nccl'
RECIPES = {
    'det': CONFIGS / 'det' / 'vit_retinanet.py',
    'seg': CONFIGS / 'seg' / 'vit_upernet.py',
    'cls': CONFIGS / 'cls' / 'vit_linear.py',
}
SMALL = {
    'det': {'image_scale': (96, 96)},
    'seg': {
        'image_scale': (96, 96),
        'crop_size': (96, 96),
        'model.decode_head.dropout_ratio': 0.0,  # each device has random numbers of its own
        'model.auxiliary_head.dropout_ratio': 0.0,
    },
    'cls': {'image_size': 64, 'resize_edge': 64},
}
EVERY = {
    'default_hooks.logger.interval': 1,
    'optim_wrapper.optimizer.lr': 1e-5,
    'train_cfg.val_begin': 2,  # after the only epoch: it would compile anew
}
# Of losses and of the gradients' norm. On a CPU bfloat16 (8 bits) changes these losses by 3e-4 at
# most and the norms by 4e-3; a GPU may, with other operators in it, ten times as much. TF32, which
# cuDNN takes for convolutions in single precision, has three bits more: an eighth.
SINGLE, HALF = (4e-4, 5e-3), (3e-3, 4e-2)
SWITCHES = [
    pytest.param({}, SINGLE, id='plain'),
    pytest.param(dict(channels_last=True), SINGLE, id='channels_last'),
    pytest.param(dict(compile=True), SINGLE, id='compile'),
    pytest.param(dict(amp=True), HALF, id='amp'),
    pytest.param(dict(amp=True, compile=True, channels_last=True), HALF, id='all'),
]


@pytest.fixture
def on_cpu(monkeypatch):
    """A function: MMEngine takes the CPU from now on, or the GPU again."""

    def take(yes: bool = True) -> None:
        monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu' if yes else DEVICE)

    return take


def logged(folder: Path, key: str) -> list[float]:
    (log,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line[key] for line in lines if key in line]


@pytest.fixture
def begin(beginnings, tiny_options, tmp_path_factory):
    """A function: options for a task, whose weights are the same ones wherever it runs.

    Weights are drawn on the device that learns; a run that learns nothing leaves its own behind.
    """

    def options_of(task: str) -> dict:
        options = {**tiny_options, **SMALL[task]}
        if task not in beginnings:
            still = {'optim_wrapper.optimizer.lr': 0.0, 'optim_wrapper.optimizer.weight_decay': 0.0}
            folder = tmp_path_factory.mktemp('begin')
            train(RECIPES[task], work_dir=folder, options={**options, **still})
            beginnings[task] = str(folder / 'epoch_1.pth')
        return {**options, **EVERY, 'load_from': beginnings[task]}

    return options_of


@pytest.fixture(scope='module')
def beginnings():
    """The checkpoints that runs begin with, by task."""
    return {}


@pytest.fixture(scope='module')
def references():
    """The work dirs of runs on the CPU, by task."""
    return {}


@pytest.mark.parametrize('task', RECIPES)
@pytest.mark.parametrize('switches, tolerances', SWITCHES)
def test_the_cpus_losses_and_gradients(
    task, switches, tolerances, references, on_cpu, begin, tmp_path, tmp_path_factory
):
    # As in real training: workers, memory that is pinned, copies that nobody waits for.
    workers = {'train_dataloader.num_workers': 2, 'train_dataloader.pin_memory': True}
    options = {**begin(task), **workers}
    if task not in references:
        on_cpu()
        references[task] = tmp_path_factory.mktemp('cpu')
        train(RECIPES[task], work_dir=references[task], options=options)
        on_cpu(False)
    runner = train(RECIPES[task], work_dir=tmp_path / 'gpu', options=options, **switches)
    assert {p.device.type for p in runner.model.parameters()} == {DEVICE}
    assert any(m._compiled_call_impl for m in runner.model.modules()) == ('compile' in switches)
    for key, tolerance in zip(('loss', 'grad_norm'), tolerances, strict=True):
        expected = logged(references[task], key)
        assert len(expected) >= 3
        assert logged(tmp_path / 'gpu', key) == pytest.approx(expected, rel=tolerance)


def test_train_resume_and_test(on_cpu, tiny_options, tmp_path):
    recipe = RECIPES['cls']
    options = {**tiny_options, **SMALL['cls'], 'default_hooks.ema.type': 'EMAHook'}
    train(recipe, work_dir=tmp_path, options=options)
    runner = train(
        recipe, work_dir=tmp_path, resume=True, options={**options, 'train_cfg.max_epochs': 2}
    )
    assert runner.epoch == 2
    states = runner.optim_wrapper.optimizer.state.values()
    assert {state['exp_avg'].device.type for state in states} == {DEVICE}
    log = max(tmp_path.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
    scores = []
    for device in (DEVICE, 'cpu'):
        on_cpu(device == 'cpu')
        out = tmp_path / f'{device}.pkl'
        figures = evaluate(
            tmp_path / recipe.name, tmp_path / 'epoch_2.pth', work_dir=tmp_path / device, out=out
        )
        if device == DEVICE:
            assert figures['accuracy/top1'] == pytest.approx(last_scores(log)['accuracy/top1'])
        scores.append(torch.stack([s['pred_score'].cpu() for s in pickle.loads(out.read_bytes())]))
    torch.testing.assert_close(*scores, atol=2e-3, rtol=0)  # TF32


def test_the_average_of_the_weights(tiny_options, tmp_path):
    seen, name = [], 'head.fc.weight'

    @HOOKS.register_module(force=True)
    class WatchOnGPU(Hook):
        priority = 'VERY_HIGH'  # before the average takes its step

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append(runner.model.state_dict()[name].cpu().clone())

    options = {
        **tiny_options,
        **SMALL['cls'],
        'default_hooks.ema.type': 'EMAHook',
        'default_hooks.ema.momentum': 0.3,
        'default_hooks.watch.type': 'WatchOnGPU',
    }
    train(RECIPES['cls'], work_dir=tmp_path, options=options, amp=True)
    average = seen[0]
    for value in seen[1:]:
        average = 0.7 * average + 0.3 * value
    saved = torch.load(tmp_path / 'epoch_1.pth', map_location='cpu')['state_dict'][name]
    torch.testing.assert_close(saved, average, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(saved, seen[-1], rtol=1e-4)


@pytest.mark.parametrize('task', ['cls', 'det', 'seg'])
def test_predictions_are_the_cpus(task, trained, tiny_shapes):
    paths = sorted((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    found, expected = (
        [sample for _, sample in Predictor(trained(task), device=device)(paths)]
        for device in (DEVICE, 'cpu')
    )
    assert len(found) == len(paths)
    for one, two in zip(found, expected, strict=True):
        if task == 'cls':
            torch.testing.assert_close(one.pred_score.cpu(), two.pred_score, atol=2e-3, rtol=0)
        elif task == 'seg':
            one, two = (s.pred_sem_seg.data.cpu() for s in (one, two))
            assert (one == two).float().mean() > 0.98  # ties at the edges
        else:  # of a detector that has hardly learnt, the best
            one, two = (s.pred_instances.scores[:3].cpu() for s in (one, two))
            torch.testing.assert_close(one, two, atol=5e-3, rtol=0)


def test_infer_as_a_command(trained, tiny_shapes, tmp_path):
    for device in (DEVICE, 'cpu'):
        done = run_tool(
            'infer.py', trained('cls'), f'{tiny_shapes}/JPEGImages/val*.jpg', '--out',
            tmp_path / device, '--device', device, '--formats', 'csv',
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    # One row an image; scores are compared above.
    rows = [(tmp_path / d / 'results.csv').read_text().splitlines() for d in (DEVICE, 'cpu')]
    assert [r.split(',')[0] for r in rows[0]] == [r.split(',')[0] for r in rows[1]]
    assert len(rows[0]) > 4


@pytest.mark.parametrize(
    'switch',
    ['', *(pytest.param(switch, marks=needs_fsdp) for switch in ('--fsdp', '--fsdp --amp'))],
)
def test_one_process_under_nccl(switch, begin, tmp_path):
    switch = switch.split()
    options = {k: v for k, v in begin('cls').items() if k != 'env_cfg.mp_cfg'}
    done = run_tool(
        'dist_train.sh', RECIPES['cls'], 1, *switch, '--work-dir', tmp_path / 'launched',
        '--cfg-options', *as_cfg_options({**options, 'env_cfg.dist_cfg.backend': BACKEND}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    amp = '--amp' in switch
    train(RECIPES['cls'], work_dir=tmp_path / 'plain', options=options, amp=amp)
    for key, tolerance in zip(('loss', 'grad_norm'), HALF if amp else SINGLE, strict=True):
        launched, plain = (logged(tmp_path / name, key) for name in ('launched', 'plain'))
        assert launched == pytest.approx(plain, rel=tolerance)
    weights = torch.load(tmp_path / 'launched' / 'epoch_1.pth', map_location='cpu')['state_dict']
    assert {type(value) for value in weights.values()} == {torch.Tensor}  # whole, not slices
