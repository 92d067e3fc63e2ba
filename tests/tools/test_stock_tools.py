"""mmdet's, mmseg's and mmpretrain's own tools, on what our training leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import CONFIGS, ROOT, fork_tool, on_path

from vitmm.__main__ import find_script
from vitmm.apis.scalars import last_scores
from vitmm.apis.train import train

CASES = {
    'mmdet': ('det/vit_retinanet', {'image_scale': (96, 96), 'model.test_cfg.score_thr': 0.0}),
    'mmseg': ('seg/vit_fcn', {'image_scale': (96, 96), 'crop_size': (96, 96)}),
    'mmpretrain': ('cls/vit_linear', {'image_size': 64, 'resize_edge': 64}),
}
VITMM = ROOT / 'vitmm/__main__.py'


def run(*words, cwd=ROOT):
    return subprocess.run(
        [sys.executable, '-m', 'vitmm', *map(str, words)],
        capture_output=True, text=True, timeout=300, cwd=cwd,
        env={**os.environ, **on_path(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize('package', CASES)
def test_they_test_and_resume_what_we_trained(package, tiny_options, tmp_path):
    recipe, small = CASES[package]
    ours = tmp_path / 'ours'
    runner = train(CONFIGS / f'{recipe}.py', work_dir=ours, options={**tiny_options, **small})
    figures = last_scores(Path(runner._log_dir) / 'vis_data' / 'scalars.json')
    dumped, checkpoint = ours / f'{Path(recipe).name}.py', ours / 'epoch_1.pth'
    assert figures

    # From elsewhere, so that nothing is found by accident; into the folder of the training.
    before = dumped.read_text()
    tested = run(
        f'{package}/tools/test.py', dumped, checkpoint,
        '--cfg-options', 'test_dataloader.persistent_workers=False', cwd=tmp_path,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert dumped.read_text() == before
    assert 'test_dataloader' in (ours / f'{dumped.stem}_test.py').read_text()
    (written,) = ours.glob('*/*.json')
    seen = json.loads(written.read_text())
    assert {name: pytest.approx(seen[name], rel=1e-6) for name in figures} == figures

    # mmdet's --resume takes no path; all three resume from the last checkpoint of the folder.
    # mmpretrain's train.py asks for persistent workers, which the small options have none of.
    more = ['--no-persistent-workers'] if package == 'mmpretrain' else []
    trained = fork_tool(
        VITMM, f'{package}/tools/train.py', dumped, '--work-dir', ours,
        '--resume', *more, '--cfg-options', 'train_cfg.max_epochs=2',
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr[-3000:]
    first, second = (torch.load(ours / f'epoch_{n}.pth') for n in (1, 2))
    assert second['meta']['epoch'] == 2
    assert second['meta']['iter'] == 2 * first['meta']['iter']
    assert first['state_dict'].keys() == second['state_dict'].keys()


def test_they_analyse_what_we_trained(tiny_options, tmp_path):
    train(
        CONFIGS / 'det/vit_retinanet.py', work_dir=tmp_path / 'ours',
        options={**tiny_options, 'image_scale': (96, 96), 'model.test_cfg.score_thr': 0.0},
    )  # fmt: skip
    dumped = tmp_path / 'ours/vit_retinanet.py'
    analysis = 'mmdet/tools/analysis_tools'
    shown = tmp_path / 'shown'
    browsed = fork_tool(
        VITMM, f'{analysis}/browse_dataset.py', dumped, '--not-show', '--output-dir', shown
    )
    assert browsed.returncode == 0, browsed.stderr[-3000:]
    assert [*shown.glob('train_*.jpg')]
    predicted = tmp_path / 'predicted.pkl'
    fork_tool('test.py', dumped, tmp_path / 'ours/epoch_1.pth', '--out', predicted)
    matrix = tmp_path / 'matrix'
    counted = fork_tool(VITMM, f'{analysis}/confusion_matrix.py', dumped, predicted, matrix)
    assert counted.returncode == 0, counted.stderr[-3000:]
    assert (matrix / 'confusion_matrix.png').is_file()


def test_scripts_by_path_and_by_package(tmp_path):
    script = tmp_path / 'one.py'
    script.write_text(
        'import sys, mmdet.models\nprint(__name__, sys.argv[1:], "vitmm" in sys.modules)\n'
    )
    assert find_script(str(script)) == script
    done = run(script, '--a', 'b')
    assert done.stdout == "__main__ ['--a', 'b'] True\n", done.stderr[-2000:]
    for names in (('mmsegmentation', 'mmseg'), ('mmdetection', 'mmdet')):
        repository, package = (find_script(f'{name}/tools/test.py') for name in names)
        assert repository == package
    assert find_script('mmdet/tools/test.py').parts[-4:] == ('mmdet', '.mim', 'tools', 'test.py')


@pytest.mark.parametrize('name', ['nosuch/tools/test.py', 'mmdet/tools/nosuch.py', 'nosuch.py'])
def test_no_such_script(name):
    done = fork_tool(VITMM, name)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        f'error: no script {name}, and no installed package brings one of that name'
    )
