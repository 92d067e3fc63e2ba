"""The tools as a user runs them: other processes, exit codes, one clear message."""

import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support import CONFIGS, COUNTS, ROOT, as_cfg_options, fork_tool, on_path, run_tool

DET = CONFIGS / 'det' / 'vit_retinanet.py'
SMALL = {
    'image_scale': '(64,64)',
    'train_dataloader.batch_size': 2,
    # A detector that has hardly learnt finds nothing above the usual threshold.
    'model.test_cfg.score_thr': 0.0,
}


@pytest.fixture
def words(tiny_shapes):
    """--cfg-options for a quick training on the tiny data set."""
    options = {
        'data_root': str(tiny_shapes),
        'prepare_data': COUNTS,
        'train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        **SMALL,
    }
    return ['--cfg-options', *as_cfg_options(options)]


TOOLS = sorted(path.name for path in (ROOT / 'tools').glob('*.py'))


@pytest.mark.parametrize('tool', TOOLS)
def test_help_answers(tool):
    done = run_tool(tool, '--help')
    assert done.returncode == 0
    assert 'usage' in done.stdout


def test_print_config_prints_what_trains(words):
    done = run_tool('print_config.py', DET, *words)
    assert done.returncode == 0, done.stderr
    assert "model_name='vit_tiny_patch16_224'" in done.stdout
    assert '${' not in done.stdout


def test_a_reader_that_goes_ends_it_quietly(words):
    command = shlex.join([sys.executable, 'tools/print_config.py', str(DET), *words])
    done = subprocess.run(f'{command} | true', shell=True, capture_output=True, text=True, cwd=ROOT)
    assert 'Error' not in done.stderr


def test_kill_9_then_resume(words, tmp_path):
    many = [w.replace('max_epochs=1', 'max_epochs=4') for w in words]
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(DET), '--work-dir', str(tmp_path)]
    with (tmp_path / 'out.txt').open('w') as out:
        process = subprocess.Popen(
            [*command, *many], stdout=out, stderr=out, cwd=ROOT, start_new_session=True
        )
        deadline = time.monotonic() + 240
        while not (tmp_path / 'epoch_2.pth').exists():
            assert process.poll() is None, (tmp_path / 'out.txt').read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / 'epoch_4.pth').exists()
    # As if the machine had also lost the end of a newer file.
    whole = (tmp_path / 'epoch_2.pth').read_bytes()
    (tmp_path / 'epoch_3.pth').write_bytes(whole[: len(whole) // 2])
    done = run_tool('train.py', DET, '--work-dir', tmp_path, '--resume', *many)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'epoch_3.pth' in done.stdout + done.stderr  # told that it is broken
    assert 'resumed epoch: 2' in done.stdout + done.stderr
    assert torch.load(tmp_path / 'epoch_4.pth')['meta']['epoch'] == 4


def test_two_processes_on_the_cpu(words, tmp_path):
    env = {**on_path(ROOT, Path(__file__).parent), 'CUDA_VISIBLE_DEVICES': '-1'}
    done = run_tool(
        'dist_train.sh', DET, 2, '--work-dir', tmp_path, *words,
        'default_hooks.ranks.type=SaveEachRank',
        'custom_imports.imports=[vitmm,save_each_rank]',
        env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert ' parameters trainable (backbone ' in done.stdout + done.stderr  # not those of a wrapper
    first, second = (torch.load(tmp_path / f'rank{r}.pth') for r in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert [p.name for p in tmp_path.glob('epoch_*.pth')] == ['epoch_1.pth']
    saved = torch.load(tmp_path / 'epoch_1.pth')['state_dict']
    assert all(torch.equal(saved[k], first[k]) for k in saved)
    (scalars,) = tmp_path.rglob('scalars.json')  # one log, by one process
    assert any('coco/bbox_mAP' in line for line in scalars.read_text().splitlines())
    tested = run_tool(
        'dist_test.sh', tmp_path / DET.name, tmp_path / 'epoch_1.pth', 2,
        '--work-dir', tmp_path / 'test', env=env,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert 'coco/bbox_mAP' in tested.stdout


def fails(done, *expected):
    """It failed with one clear message, and without a traceback."""
    assert done.returncode not in (0, None)
    lines = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1, done.stderr[-3000:]
    assert 'Traceback' not in done.stderr
    for word in expected:
        assert word in lines[0], lines[0]


class Bomb:
    def __reduce__(self):
        return os.system, ('true',)


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['model.backbone.model_name=vit_tny_patch16_224'], ['vit_tiny_patch16_224']),
        (['model.bbox_head.num_classes=${data.num_clases}'], ['num_clases', 'num_classes']),
        (['oops'], ['key=value']),
        (['prepare_data=None', 'data_root=/nowhere'], ['/nowhere']),
        (['env_cfg.dist_cfg.backend=nccl', '--launcher', 'pytorch'], ['dist_train.sh']),
        (['--data', 'cocoo'], ['coco']),
        (['optim_wrapper.type=Odd', '--amp'], ['--amp', 'Odd']),
        (['--resume', '/nowhere.pth'], ['/nowhere.pth']),
        (['model.backbone.pretrained=/nowhere.safetensors'], ['/nowhere.safetensors']),
    ],
    ids=lambda v: '-'.join(v)[:40] if isinstance(v, list) else None,
)
def test_bad_arguments(arguments, expected, words, tmp_path):
    flags = (
        arguments[arguments.index(next(a for a in arguments if a.startswith('--'))) :]
        if any(a.startswith('--') for a in arguments)
        else []
    )
    options = [a for a in arguments if a not in flags]
    done = fork_tool('train.py', DET, '--work-dir', tmp_path / 'w', *flags, *words, *options)
    fails(done, *expected)
    assert not list(tmp_path.rglob('*.pth'))


def test_no_config():
    fails(fork_tool('train.py', 'configs/det/vit_retinant.py'), 'vit_retinanet.py')


@pytest.fixture
def broken_data(tmp_path, tiny_shapes):
    """A copy of the tiny data set to damage, and the options to train on it."""
    root = tmp_path / 'shapes'
    shutil.copytree(tiny_shapes, root)
    options = {'data_root': str(root), 'train_dataloader.num_workers': 1, 'train_cfg.max_epochs': 1}
    options |= {'val_dataloader.num_workers': 0, **SMALL}
    words = ['--work-dir', str(tmp_path / 'w'), '--cfg-options', 'prepare_data=None']
    return root, [*words, *as_cfg_options(options)]


@pytest.mark.parametrize('fault', ['missing', 'cut', 'empty', 'json', 'no-json', 'no-box', 'class'])
def test_bad_data(fault, broken_data):
    root, words = broken_data
    file = root / 'coco/instances_train.json'
    content = json.loads(file.read_text())
    image = root / 'JPEGImages' / content['images'][0]['file_name'].rpartition('/')[2]
    expected = [str(file)]
    if fault in ('missing', 'cut', 'empty'):
        expected = [image.name]
    if fault == 'missing':
        image.unlink()
    elif fault == 'cut':
        image.write_bytes(image.read_bytes()[:200])
    elif fault == 'empty':
        image.write_bytes(b'')
    elif fault == 'json':
        file.write_text(file.read_text()[:500])
    elif fault == 'no-json':
        file.unlink()
    elif fault == 'no-box':
        file.write_text(json.dumps({**content, 'annotations': []}))
    else:
        words = [*words, "train_dataloader.dataset.metainfo.classes=['circle','hexagon']"]
        expected = ['hexagon']
    fails(fork_tool('train.py', DET, *words), *expected)


@pytest.mark.parametrize('fault', ['other', 'cut', 'code', 'pickle', 'missing'])
def test_bad_checkpoints(fault, words, tmp_path):
    file = tmp_path / 'c.pth'
    expected = ['c.pth']
    if fault == 'other':
        torch.save({'state_dict': {'a.weight': torch.zeros(3)}, 'meta': {}}, file)
        expected += ['a.weight', 'backbone.model.']
    elif fault == 'cut':
        torch.save({'state_dict': {'a': torch.zeros(30000)}}, file)
        file.write_bytes(file.read_bytes()[:-2000])
    elif fault == 'code':
        torch.save({'state_dict': {}, 'meta': Bomb()}, file)
        expected += ['system']
    elif fault == 'pickle':
        file.write_bytes(pickle.dumps({'state_dict': {}, 'meta': Bomb()}))
    fails(fork_tool('test.py', DET, file, '--work-dir', tmp_path / 'w', *words), *expected)


def test_more_processes_than_gpus_or_none_at_all(words):
    done = fork_tool(
        'train.py', DET, '--launcher', 'pytorch', *words, 'env_cfg.dist_cfg.backend=nccl',
        env={'CUDA_VISIBLE_DEVICES': '-1', 'RANK': '0', 'WORLD_SIZE': '1', 'LOCAL_RANK': '0',
             'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '29533'},
    )  # fmt: skip
    fails(done, 'nccl', 'GPU')
