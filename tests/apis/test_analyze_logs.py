"""Runs read from their logs, against figures worked out here."""

import csv
import json
import statistics
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from support import fork_tool

from vitmm.apis.analyze_logs import analyze_logs
from vitmm.apis.curves import draw_curves
from vitmm.apis.report import _results
from vitmm.apis.runs import LogError, read_run
from vitmm.apis.scalars import last_scores
from vitmm.errors import VitmmError

CONFIG = (
    "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={epochs})\n"
    "default_hooks = dict(checkpoint=dict(save_best='{metric}', rule='{rule}'))\n"
)
USUAL = CONFIG.format(epochs=4, metric='mIoU', rule='greater')
EPOCH, INTERVAL = 25, 10  # iterations of an epoch, and between two lines: the last is never logged


def training(step, loss=1.0, **more):
    line = dict(lr=1e-3, data_time=0.1, time=0.5, loss=loss, epoch=(step - 1) // EPOCH + 1)
    return line | dict(iter=step, step=step) | more


def epochs(first, last, score=lambda epoch: epoch / 10, loss=lambda step: 1 / step, metric='mIoU'):
    """The lines of whole epochs with a validation after each."""
    lines = []
    for epoch in range(first, last + 1):
        start = (epoch - 1) * EPOCH
        lines += [
            training(start + i, loss(start + i)) for i in range(INTERVAL, EPOCH + 1, INTERVAL)
        ]
        lines.append({metric: score(epoch), 'data_time': 0.1, 'time': 0.2, 'step': epoch})
    return lines


def write(folder, lines, config=USUAL, end='\n'):
    folder = folder / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)) + end)
    if config:
        (folder / 'config.py').write_text(config)
    return folder / 'scalars.json'


def row(text, number=1):
    """A row of the table, by the head's names."""
    head, *rows = text.splitlines()
    starts = [head.index(name) for name in head.split()] + [None]
    cells = [rows[number - 1][a:b].strip() for a, b in pairwise(starts)]
    return dict(zip(head.split(), cells, strict=True))


def test_figures_of_a_stopped_run(tmp_path):
    times = [0.4, 0.6, 0.5, 0.7, 0.3]
    lines = epochs(1, 2, score={1: 0.8, 2: 0.3}.get)
    lines.append(training(60))
    for line, time in zip([one for one in lines if 'lr' in one], times, strict=True):
        line.update(time=time, data_time=time / 4)
    write(tmp_path / 'run/20260101_000000', lines)
    found = row(analyze_logs([tmp_path / 'run']))
    middle = statistics.median(times)
    low, _, high = statistics.quantiles(times, method='inclusive')
    assert found['s/iter'] == f'{middle:.3f} ({low:.3f}-{high:.3f})'
    assert found['data'] == '25%'
    assert found['done'] == f'{60 / EPOCH:.3g}/4 epochs'
    assert found['ETA'] == f'0:00:{(4 * EPOCH - 60) * middle:02.0f}'
    assert (found['metric'], found['best'], found['last']) == ('mIoU', '0.8 (epoch 1)', '0.3')
    assert found['resumed'] == '0'


def test_a_finished_run_is_done_though_its_last_iterations_are_not_logged(tmp_path):
    write(tmp_path / 'run/20260101_000000', epochs(1, 4))
    assert row(analyze_logs([tmp_path / 'run']))['ETA'] == 'done'
    lines = [line for line in epochs(1, 4) if 'lr' in line]  # pretraining is not validated
    write(tmp_path / 'mim/20260101_000000', lines)
    (tmp_path / 'mim/last_checkpoint').write_text('/somewhere/epoch_4.pth')
    found = row(analyze_logs([tmp_path / 'mim']))
    assert (found['ETA'], found['best']) == ('done', '-')


def test_less_is_better_where_the_config_says_so(tmp_path):
    config = CONFIG.format(epochs=4, metric='abs_rel', rule='less')
    lines = epochs(1, 4, score={1: 0.5, 2: 0.2, 3: 0.4, 4: 0.3}.get, metric='abs_rel')
    write(tmp_path / 'run/20260101_000000', lines, config)
    assert row(analyze_logs([tmp_path / 'run']))['best'] == '0.2 (epoch 2)'


def test_resumed_runs_are_joined_and_the_later_wins(tmp_path):
    # Killed in the third epoch, resumed after the second, and again after the third.
    write(tmp_path / 'run/20260101_000000', [*epochs(1, 2), training(60, 9.0), training(70, 9.0)])
    write(tmp_path / 'run/20260101_000100', [training(60, 5.0)])
    write(tmp_path / 'run/20260101_000200', [*epochs(3, 3), training(85, 9.0)])
    write(tmp_path / 'run/20260101_000300', epochs(4, 4))
    (tmp_path / 'run/20260101_000400/vis_data').mkdir(parents=True)  # of tools/test.py
    run = read_run(tmp_path / 'run')
    assert run.resumed == 3
    assert run.epoch_length == EPOCH
    expected = [line for line in epochs(1, 4) if 'lr' in line]
    assert run.training == expected
    assert run.curve('mIoU') == ([25, 50, 75, 100], [0.1, 0.2, 0.3, 0.4])
    assert row(analyze_logs([tmp_path / 'run']))['resumed'] == '3'


def test_a_run_begun_anew_leaves_the_old_one_out(tmp_path):
    write(tmp_path / 'run/20260101_000000', epochs(1, 3))
    write(tmp_path / 'run/20260101_000100', epochs(1, 2, score={1: 0.9, 2: 0.8}.get))
    text = analyze_logs([tmp_path / 'run'])
    assert row(text)['best'] == '0.9 (epoch 1)'
    assert row(text)['resumed'] == '0'
    assert 'begun anew' in text


def test_iterations(tmp_path):
    lines = [training(step) for step in (50, 100)] + [{'mIoU': 30.0, 'time': 0.1, 'step': 100}]
    lines += [training(step) for step in (150, 200)] + [{'mIoU': 40.0, 'time': 0.1, 'step': 200}]
    for line in lines:
        line.pop('epoch', None)
    config = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000)\n"
    write(tmp_path / 'run/20260101_000000', lines, config)
    found = row(analyze_logs([tmp_path / 'run'], csv_file=tmp_path / 'run.csv'))
    seconds = [line for line in (tmp_path / 'run.csv').read_text().split() if ',time,' in line]
    assert seconds == [f'run,{step},,time,0.5' for step in (50, 100, 150, 200)]
    assert found['done'] == '200/1000 iterations'
    assert found['best'] == '40 (200)'
    assert found['ETA'] == '0:06:40'  # 800 times half a second
    assert read_run(tmp_path / 'run').curve('mIoU') == ([100, 200], [30.0, 40.0])


def test_a_line_that_is_cut_off_is_told_of(tmp_path):
    file = write(tmp_path / 'run/20260101_000000', epochs(1, 2), end='\n{"lr": 0.001, "lo')
    text = analyze_logs([tmp_path / 'run'])
    assert f'note: {file}: line {len(epochs(1, 2)) + 1} is cut off' in text
    assert row(text)['done'] == '2/4 epochs'
    assert last_scores(file) == {'mIoU': 0.2}


def test_a_loss_that_is_no_number_is_told_of(tmp_path):
    lines = epochs(1, 2)
    for line in lines[3:]:
        if 'loss' in line:
            line['loss'] = float('nan')
    write(tmp_path / 'run/20260101_000000', lines)
    step = next(line['step'] for line in lines[3:] if 'loss' in line)
    text = analyze_logs([tmp_path / 'run'])
    assert f'logged lines, first at iteration {step}' in text
    assert 'note: run: loss is NaN or infinite in ' in text
    write(tmp_path / 'sound/20260101_000000', epochs(1, 2))
    assert 'note' not in analyze_logs([tmp_path / 'sound'])


def test_gradients_that_are_no_numbers_to_the_end(tmp_path):
    # mmseg's depth loss is 0 of predictions that are NaN. One norm alone may be a scaled loss's.
    lines = epochs(1, 2)
    steps = [line['step'] for line in lines if 'loss' in line]
    for line in lines:
        if 'loss' in line:
            line['grad_norm'] = float('nan') if line['step'] in (steps[0], *steps[-2:]) else 1.0
    write(tmp_path / 'run/20260101_000000', lines)
    assert (
        f'grad_norm is NaN or infinite in 2 of {len(steps)} logged lines, first at iteration '
        f'{steps[-2]}'
    ) in analyze_logs([tmp_path / 'run'])
    for line in lines:
        if line['step'] == steps[-1]:
            line['grad_norm'] = 1.0
    write(tmp_path / 'sound/20260101_000000', lines)
    assert 'note' not in analyze_logs([tmp_path / 'sound'])


@pytest.mark.parametrize('broken', [1, 2])
def test_the_best_is_a_number(broken, tmp_path):
    lines = epochs(1, 2, score=lambda epoch: float('nan') if epoch == broken else 0.5)
    write(tmp_path / 'run/20260101_000000', lines)
    assert row(analyze_logs([tmp_path / 'run']))['best'] == f'0.5 (epoch {3 - broken})'
    run = read_run(tmp_path / 'run')
    ((_, text),) = _results(run)
    assert text.endswith(f'best 0.5000 (epoch {3 - broken})')


def test_a_text_log_that_is_no_text(tmp_path):
    write(tmp_path / 'run/20260101_000000', epochs(1, 1))
    (tmp_path / 'run/20260101_000000/20260101_000000.log').write_bytes(
        b'\xff\nEpoch(train)  [1][ 2/40]\n'
    )
    assert read_run(tmp_path / 'run').epoch_length == 40


def test_csv_has_what_the_log_has(tmp_path):
    file = write(tmp_path / 'run/20260101_000000', epochs(1, 2))
    analyze_logs([file], csv_file=tmp_path / 'all.csv')
    with (tmp_path / 'all.csv').open() as opened:
        found = {
            (int(line['iteration']), int(line['epoch']), line['key']): float(line['value'])
            for line in csv.DictReader(opened)
            if line['run'] == 'run'
        }
    expected = {}
    for line in map(json.loads, file.read_text().splitlines()):
        if 'lr' in line:
            keys = ('lr', 'loss', 'time', 'data_time')
            expected |= {(line['step'], line['epoch'], key): line[key] for key in keys}
        else:
            expected[line['step'] * EPOCH, line['step'], 'mIoU'] = line['mIoU']
    assert found == expected
    analyze_logs([file], csv_file=tmp_path / 'some.csv', keys=['loss'])
    assert (tmp_path / 'some.csv').read_text().count('\n') == 1 + len(read_run(file).training)


def test_curves_are_the_logged_values(tmp_path):
    for number, name in enumerate(('a', 'b')):
        write(tmp_path / name / '20260101_000000', epochs(1, 3, loss=lambda s, n=number: n + 1 / s))
    runs = [read_run(tmp_path / name) for name in ('a', 'b')]
    figure = draw_curves(runs, [['loss'], ['mIoU']], by_epoch=True)
    losses, scores = figure.axes
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['a', 'b']
    for number, line in enumerate(losses.lines):
        steps = [s + i for s in (0, 25, 50) for i in (10, 20)]
        assert list(line.get_xdata()) == pytest.approx([step / EPOCH for step in steps])
        assert list(line.get_ydata()) == pytest.approx([number + 1 / step for step in steps])
    assert list(scores.lines[0].get_xdata()) == [1, 2, 3]
    figure = draw_curves(runs, [['loss']], by_epoch=False)
    assert list(figure.axes[0].lines[0].get_xdata()) == steps


def seen(figure):
    """For each curve of each panel, how many pixels of the panel have its colour."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)
    for axes in figure.axes:
        box = axes.get_window_extent()
        inside = pixels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
        for line in axes.lines:
            colour = 255 * np.array(to_rgb(line.get_color()))
            yield int((np.abs(inside - colour).max(2) < 25).sum())


@pytest.mark.parametrize('number', [2, 10])
@pytest.mark.parametrize('last', [3, 40])
def test_curves_that_lie_on_each_other_are_all_seen(number, last, tmp_path):
    write(tmp_path / 'run/20260101_000000', epochs(1, last))
    run = read_run(tmp_path / 'run')
    runs = [replace(run, name=f'run{n}') for n in range(number)]
    found = list(seen(draw_curves(runs, [['loss'], ['mIoU']], by_epoch=True)))
    assert len(found) == 2 * number and min(found) > 60


def test_a_single_point_is_seen(tmp_path):
    write(tmp_path / 'run/20260101_000000', [training(10)])
    (found,) = seen(draw_curves([read_run(tmp_path / 'run')], [['loss']], by_epoch=False))
    assert found > 10


def test_many_curves_look_different_and_the_legend_hides_none(tmp_path):
    write(tmp_path / 'run/20260101_000000', epochs(1, 3))
    run = read_run(tmp_path / 'run')
    runs = [replace(run, name=f'a run with a long name {n}') for n in range(60)]
    figure = draw_curves(runs, [['loss'], ['mIoU'], ['lr'], ['loss']], by_epoch=True)
    FigureCanvasAgg(figure).draw()
    lines = figure.axes[0].lines
    looks = {(one.get_color(), one.get_marker(), one.get_linewidth()) for one in lines}
    assert len(looks) == len(lines) == 60
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 60
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
    assert box.x1 <= figure.bbox.x1 + 1 and box.y0 >= 0
    assert all(axes.get_window_extent().width > 300 for axes in figure.axes)  # of 520
    losses = [['loss', 'lr', 'mIoU'], ['lr']]
    figure = draw_curves([run], losses, by_epoch=True)
    FigureCanvasAgg(figure).draw()
    box = figure.axes[0].get_legend().get_window_extent()
    assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_runs_of_one_name_are_told_apart(tmp_path):
    for name in ('a/run', 'b/run'):
        write(tmp_path / name / '20260101_000000', epochs(1, 1))
    text = analyze_logs([tmp_path / 'a/run', tmp_path / 'b/run'])
    assert [row(text, n)['run'] for n in (1, 2)] == ['a/run', 'b/run']


def test_runs_of_different_data_are_told_of(tmp_path):
    data = (
        "val_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict("
        "type='CocoDataset', data_root='data/{root}/', ann_file='val.json')))\n"
    )
    for name, root in (('a', 'trees'), ('b', 'shapes'), ('c', 'trees')):
        write(tmp_path / name, epochs(1, 1), USUAL + data.format(root=root))
    told = analyze_logs([tmp_path / 'a', tmp_path / 'b', tmp_path / 'c'])
    assert 'a, c on data/trees/val.json; b on data/shapes/val.json' in told
    assert 'same data' not in analyze_logs([tmp_path / 'a', tmp_path / 'c'])


def test_what_is_no_run_among_several_is_left_out(tmp_path, capsys):
    write(tmp_path / 'a/20260101_000000', epochs(1, 2))
    write(tmp_path / 'b/20260101_000000', epochs(1, 4))
    write(tmp_path / 'begun/20260101_000000', [])
    (tmp_path / 'crashed/20260101_000000').mkdir(parents=True)
    write(tmp_path / 'compare/vit_fcn/resnet18/20260101_000000', epochs(1, 1))
    (tmp_path / 'epoch_1.pth').write_bytes(b'\x80' * 100)
    (tmp_path / 'other.json').write_text('[]')
    paths = sorted(tmp_path.iterdir())
    text = analyze_logs(paths, csv_file=tmp_path / 'all.csv')
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ['a', 'b']
    assert [row(text, n)['done'] for n in (1, 2)] == ['2/4 epochs', '4/4 epochs']
    notes = [
        one for one in capsys.readouterr().err.splitlines() if one.startswith('note: left out')
    ]
    names = ('begun', 'compare', 'crashed', 'epoch_1.pth', 'other.json')
    assert len(notes) == len(names)
    assert all(str(tmp_path / name) in note for name, note in zip(names, notes, strict=True))
    with pytest.raises(LogError, match='none of these 2 paths'):
        analyze_logs([tmp_path / 'begun', tmp_path / 'crashed'])
    with pytest.raises(LogError, match=r'there is no .*typo'):
        analyze_logs([tmp_path / 'a', tmp_path / 'typo'])


def test_bad_input(tmp_path):
    (tmp_path / 'empty').mkdir()
    write(tmp_path / 'runs/a/20260101_000000', epochs(1, 1))
    write(tmp_path / 'runs/b/20260101_000000', epochs(1, 1, metric='coco/bbox_mAP'))
    write(tmp_path / 'begun/20260101_000000', [])
    only = [{'mAP': 0.1, 'step': 0}], [{'acc': 0.1, 'step': 0}]
    c, d = (write(tmp_path / f'{n}/20260101_000000', o) for n, o in zip('cd', only, strict=True))
    a, b = tmp_path / 'runs/a', tmp_path / 'runs/b'
    for paths, settings, message in (
        ([tmp_path / 'none'], {}, 'there is no .*none'),
        ([tmp_path / 'empty'], {}, 'no run with results'),
        ([tmp_path / 'runs'], {}, 'It holds runs, though: .*runs/a'),
        ([tmp_path / 'begun'], {}, 'no whole line'),
        ([a], dict(keys=['mIuo']), "no run logs 'mIuo'. Did you mean mIoU"),
        ([a, b], dict(keys=['bbox_mAP']), 'not common to the runs: a has none. All log: lr, loss'),
        ([c, d], dict(out=tmp_path / 'x.png'), 'no key in common'),
        ([a], dict(out=tmp_path / 'x.xyz'), '.png, .jpg'),
        ([a], dict(csv_file=tmp_path / 'empty'), 'cannot write'),
    ):
        with pytest.raises(LogError, match=message):
            analyze_logs(paths, **settings)
    assert issubclass(LogError, VitmmError)
    assert not list(tmp_path.glob('x.*'))


def test_as_a_process_on_a_real_run(trained, tmp_path):
    work_dir = trained('cls').parent
    files = ['--out', tmp_path / 'curves.png', '--csv', tmp_path / 'all.csv']
    done = fork_tool('analyze_logs.py', work_dir, *files)
    assert done.returncode == 0, done.stderr[-2000:]
    found = row(done.stdout)
    scores = last_scores(next(work_dir.glob('*/vis_data/scalars.json')))
    assert found['run'] == work_dir.name
    assert found['done'] == '1/1 epochs'
    assert found['last'] == f'{scores["accuracy/top1"]:.4g}'
    assert cv2.imread(str(tmp_path / 'curves.png')).std() > 0
