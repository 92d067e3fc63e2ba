"""Comparing backbones: what is done stays done, and the figures are what formulas say."""

import csv
import html.parser
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from browsing import browser
from support import CONFIGS, ROOT, as_cfg_options, fitting, run_tool
from torch import nn

from vitmm.apis.compare import launchers
from vitmm.apis.compare.about import describe
from vitmm.apis.compare.collect import check_metric, choose_metric, make_row, summarize
from vitmm.apis.compare.compare import compare
from vitmm.apis.compare.configs import differences, flatten, keep
from vitmm.apis.compare.jobs import Job, folder_name, plain
from vitmm.apis.compare.logs import read_run
from vitmm.apis.compare.notes import notes, verdict
from vitmm.apis.compare.pareto import front
from vitmm.apis.compare.run import run_jobs
from vitmm.apis.compare.settings import make_settings
from vitmm.apis.compare.spread import spread
from vitmm.errors import BackboneError, ConfigError, VitmmError

RECIPE = CONFIGS / 'cls' / 'convnext_linear.py'
# timm's smallest.
BACKBONES = ('test_resnet', 'test_convnext', 'test_vit')
CLASSES = ('circle', '<b>"&</script>')
HIGHS = {'test_resnet': (70.0, 74.0), 'test_convnext': (60.0, 61.0), 'test_vit': (71.5, 71.5)}


@pytest.fixture
def options(tiny_options):
    return {**tiny_options, 'image_size': 32, 'resize_edge': 32}


def cost(latency, parameters):
    return {
        'parameters': parameters,
        'trainable': parameters,
        'gflops': parameters / 1e7,
        'latency': {'median': latency, 'low': latency * 0.9, 'high': latency * 1.1, 'rounds': 20},
        'throughput': 900 / latency,
        'batch': 32,
        'memory': 12.5,
        'input': [3, 32, 32],
        'device': 'cpu',
        'threads': 1,
        'trained': True,
    }


def put(job, result):
    """What a job leaves behind when it is done."""
    job.folder.mkdir(parents=True, exist_ok=True)
    job.result.write_text(json.dumps(result))


@pytest.fixture
def finished(options, tmp_path):
    """A folder in which all jobs are done, with figures that are known; and the call for it."""
    pixel = np.zeros((8, 8, 3), np.uint8)
    for number, (backbone, scores) in enumerate(HIGHS.items()):
        for seed, score in enumerate(scores):
            folder = tmp_path / 'w' / folder_name(backbone) / f'seed{seed}'
            curve = {
                'loss': [(20, 1.5), (40, 0.5 + number)],
                'validations': [(40, {'accuracy/top1': score})],
            }
            train = {'scores': {'accuracy/top1': score}, 'curve': curve, 'seconds': 10 + seed}
            put(Job('train', backbone, seed, folder), train)
            values = dict(zip(CLASSES, (score, None), strict=True))
            tested = {
                'scores': {'accuracy/top1': score},
                'per_class': {'what': 'recall', 'values': values},
                'shown': ['a.jpg_0.png'],
            }
            put(Job('test', backbone, seed, folder), tested)
            (folder / 'shown').mkdir()
            from PIL import Image

            Image.fromarray(pixel).save(folder / 'shown' / 'a.jpg_0.png')
        folder = tmp_path / 'w' / folder_name(backbone)
        put(Job('measure', backbone, None, folder), cost(3.0 - number, 10**6 * (number + 1)))
    arguments = dict(seeds=(0, 1), work_dir=tmp_path / 'w', options=options)
    return RECIPE, BACKBONES, arguments


def test_spread():
    assert spread([5, 1, 4, 2, 3]) == {'median': 3, 'low': 2, 'high': 4}


def test_the_front_is_what_comparing_every_pair_gives():
    random = np.random.default_rng(0)
    for higher in (True, False):
        for _ in range(200):
            points = [tuple(p) for p in random.integers(0, 6, (random.integers(1, 9), 2)).tolist()]
            sign = 1 if higher else -1
            expected = {
                i
                for i, (x, y) in enumerate(points)
                if not any(a <= x and sign * b >= sign * y and (a, b) != (x, y) for a, b in points)
            }
            assert set(front(points, higher)) == expected, (points, higher)


def test_figures_are_the_formulas(finished):
    recipe, backbones, arguments = finished
    found = compare(recipe, backbones, **arguments)
    assert found['metric'] == 'accuracy/top1' and found['unfinished'] == 0
    with (arguments['work_dir'] / 'compare.csv').open() as file:
        rows = {row['backbone']: row for row in csv.DictReader(file)}
    for backbone, scores in HIGHS.items():
        row = rows[backbone]
        assert float(row['accuracy/top1']) == pytest.approx(np.mean(scores))
        assert float(row['std']) == pytest.approx(np.std(scores, ddof=1))
        assert float(row['train_seconds']) == 10.5
    assert list(rows) == ['test_resnet', 'test_vit', 'test_convnext']  # the best first
    markdown = (arguments['work_dir'] / 'compare.md').read_text()
    assert '| test_resnet | 72.00 ± 2.83 | 1 |' in markdown
    assert found['per_class']['values']['circle']['test_resnet'] == 72.0
    assert found['differences']['model.backbone.model_name'] == {n: n for n in backbones}
    assert not any(key.startswith('train_dataloader') for key in found['differences'])


class _Page(html.parser.HTMLParser):
    """Which elements are open, what is loaded, what the data element holds."""

    VOID = ('meta', 'link', 'img', 'br', 'input', 'hr')

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.rows, self.data, self.svg = [], [], [], '', 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.svg += tag == 'svg'
        if 'data-backbone' in attrs:
            self.rows.append(attrs['data-backbone'])
        self.loads += [attrs[key] for key in ('src', 'href', 'action') if attrs.get(key)]
        if tag not in self.VOID:
            self.open.append((tag, attrs.get('id')))

    def handle_startendtag(self, tag, attrs):
        self.svg += tag == 'svg'

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open[-1][0] == tag, f'</{tag}> closes {self.open[-1]}'
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == ('script', 'data'):
            self.data += data


def test_the_page_is_whole_and_needs_no_network(finished):
    recipe, backbones, arguments = finished
    compare(recipe, backbones, **arguments)
    folder = arguments['work_dir']
    text = (folder / 'compare.html').read_text()
    page = _Page(text)
    assert page.open == []
    assert sorted(page.rows) == sorted(backbones)
    assert page.loads and all(load.startswith('data:') for load in page.loads)
    assert not re.search(r'@import|url\(|\bfetch\(|XMLHttpRequest', text)
    assert json.loads(page.data) == json.loads((folder / 'compare.json').read_text())
    assert page.svg == 5  # three plots of costs, two of learning
    assert '<b>"&' not in text.replace(page.data, '')  # a class's name is text, not an element


# Runs in the page's own window, framed at the width of a phone, after all has loaded.
PROBE = """<!doctype html><body>
<iframe id="f" style="width:390px;height:800px" srcdoc="%s"></iframe>
<script>
const faults = [];
f.onload = () => {
  const page = f.contentDocument;
  f.contentWindow.onerror = message => faults.push(message);
  const order = () => [...page.querySelectorAll('tr[data-backbone]')].map(r => r.dataset.backbone);
  const found = {orders: [order()], width: page.documentElement.scrollWidth};
  const heads = page.querySelectorAll('table.sortable')[0].querySelectorAll('th button');
  for (const head of [heads[0], heads[2], heads[2]]) { head.click(); found.orders.push(order()); }
  found.pictures = [...page.images].map(i => i.src.slice(0, 5));
  found.faults = faults;
  const out = document.createElement('pre');
  out.id = 'found';
  out.textContent = JSON.stringify(found);
  document.body.append(out);
};
</script>"""


@pytest.mark.skipif(not browser(), reason='no Chromium or Chrome on this machine, and no '
                    'BROWSER_BINARY that names one')  # fmt: skip
def test_a_real_browser_sorts_it_at_the_width_of_a_phone(finished, tmp_path):
    recipe, backbones, arguments = finished
    compare(recipe, backbones, **arguments)
    page = (arguments['work_dir'] / 'compare.html').read_text()
    frame = tmp_path / 'frame.html'
    frame.write_text(PROBE % page.replace('&', '&amp;').replace('"', '&quot;'))
    done = subprocess.run(
        [browser(), '--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=5000',
         f'--user-data-dir={tmp_path / "profile"}', '--enable-logging=stderr', '--dump-dom',
         f'file://{frame}'],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    found = json.loads(html.unescape(found[1]))
    assert found['faults'] == [] and 'CONSOLE' not in done.stderr
    assert found['width'] <= 390
    best, by_name, by_parameters, turned = found['orders']
    assert best == ['test_resnet', 'test_vit', 'test_convnext']
    assert by_name == sorted(backbones)
    assert by_parameters == list(backbones) and turned == by_parameters[::-1]
    assert set(found['pictures']) == {'data:'}


def test_only_the_keys_that_differ():
    a = flatten({'model': {'x': 1, 'y': [1, 2]}, 'lr': 0.1, 'empty': {}})
    b = flatten({'model': {'x': 2, 'y': [1, 2], 'z': None}, 'lr': 0.1, 'empty': {}})
    assert differences({'a': a, 'b': b}) == {'model.x': {'a': 1, 'b': 2}, 'model.z': {'b': None}}


@pytest.mark.parametrize(
    ('hook', 'scores', 'wanted', 'expected'),
    [
        ({'save_best': 'auto', 'rule': 'greater'}, {'a': 1, 'b': 2}, None, ('a', True)),
        ({'save_best': 'mIoU', 'rule': 'greater'}, {'aAcc': 1, 'mIoU': 2}, None, ('mIoU', True)),
        ({'save_best': 'abs_rel', 'rule': 'less'}, {'abs_rel': 1}, None, ('abs_rel', False)),
        ({'save_best': 'mIoU'}, {'mIoU': 2, 'x/rmse': 1}, 'rmse', ('x/rmse', False)),
        ({}, {'coco/bbox_mAP': 1, 'coco/segm_mAP': 2}, 'segm_mAP', ('coco/segm_mAP', True)),
        # A rule is that of its metric only.
        ({'save_best': None, 'rule': 'less'}, {'d1': 0.3, 'abs_rel': 0.4}, None, ('d1', True)),
        ({'save_best': 'auto', 'rule': 'less'}, {'d1': 0.3}, None, ('d1', False)),
        ({'save_best': 'auto'}, {'abs_rel': 0.3}, None, ('abs_rel', False)),
        ({'save_best': 'abs_rel', 'rule': 'less'}, {'d1': 0, 'abs_rel': None}, None,
         ('abs_rel', False)),
    ],
)  # fmt: skip
def test_the_metric_is_the_one_that_picks_the_best_checkpoint(hook, scores, wanted, expected):
    # A run that was broken may have some of them.
    rows = [{'runs': []}, {'runs': [{'scores': dict(list(scores.items())[:1])}]}]
    rows.append({'runs': [{'scores': scores}]})
    assert choose_metric({'default_hooks': {'checkpoint': hook}}, rows, wanted) == expected


def test_a_metric_that_nothing_gives_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match=r'--metric accurazy: .*Did you mean accuracy/top1'):
        compare(RECIPE, ['test_vit'], metric='accurazy', work_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    check_metric({'val_evaluator': {'type': 'mmdet.CocoMetric'}}, 'coco/person_precision')


def test_a_seed_that_diverged_is_told_of_and_no_part_of_the_mean():
    runs = [{'seed': 0, 'scores': {'m': 0.2}}, {'seed': 1, 'scores': {'m': None}}]
    runs += [{'seed': 2, 'scores': {'m': 0.9}, 'diverged': True}]
    row = {'backbone': 'a', 'runs': runs, 'cost': None, 'errors': {'train seed 2': 'diverged'}}
    found = summarize(row, 'm')
    assert (found['score'], found['std'], found['seeds']) == (0.2, None, 1)
    assert found['error'] == 'train seed 2: diverged; seed 1: m is NaN'


def test_the_verdict_names_those_of_one_seed():
    def verdict_of(*seeds):
        summary = [
            dict(backbone=name, score=score, std=0.001, seeds=number, latency=None)
            for name, score, number in zip('ab', (0.9, 0.5), seeds, strict=True)
        ]
        found = dict(higher_is_better=True, metric='m', mode='train', summary=summary)
        return verdict(found)[-1]

    assert verdict_of(1, 1) == 'One seed each: a small lead may be chance.'
    assert verdict_of(3, 1) == 'One seed of b: a small lead may be chance.'
    assert verdict_of(3, 3) == 'a has the best m.'


def test_costs_at_different_sizes_are_told_apart():
    cost = dict(trained=True, device='cpu', threads=1, batch=2, latency=dict(low=1, high=1))
    small, large = (dict(cost, input=[3, side, side]) for side in (160, 224))
    rows = [
        dict(backbone=name, cost=c, runs=[])
        for name, c in zip('abc', (small, large, small), strict=True)
    ]
    found = dict(mode='measure', rows=rows, unfinished=0, machine=describe())
    assert 'whole model at 3 x 160 x 160 (a, c); 3 x 224 x 224 (b), on' in ' '.join(notes(found))
    found['rows'] = rows[::2]
    assert 'whole model at 3 x 160 x 160, on the CPU' in ' '.join(notes(found))


def test_results_by_class_are_the_definitions_and_add_up():
    from mmengine.evaluator import Evaluator

    from vitmm.apis.compare.per_class import ask, take_apart

    torch.manual_seed(0)
    truth, found = torch.randint(3, (2, 4, 5, 5))
    samples = [
        {'gt_sem_seg': {'data': t[None]}, 'pred_sem_seg': {'data': f[None]}}
        for t, f in zip(truth, found, strict=True)
    ]
    metric = Evaluator(ask(dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'])))
    metric.dataset_meta = {'classes': ('a', 'b', 'c')}
    metric.process(data_samples=samples, data_batch=None)
    scores, what, values = take_apart(plain(metric.evaluate(4)), 'abc')
    for number, name in enumerate('abc'):
        both = ((truth == number) & (found == number)).sum()
        either = ((truth == number) | (found == number)).sum()
        assert values[name] == pytest.approx(100 * float(both / either))
    assert what == 'IoU' and scores['mIoU'] == pytest.approx(np.mean([*values.values()]), abs=0.01)

    votes = torch.rand(40, 3).softmax(1)
    labels = torch.randint(3, (40,))
    metric = Evaluator(ask(dict(type='vitmm.Accuracy', topk=(1,))))
    samples = [
        {'pred_score': v, 'pred_label': v.argmax()[None], 'gt_label': y[None], 'num_classes': 3}
        for v, y in zip(votes, labels, strict=True)
    ]
    metric.process(data_samples=samples, data_batch=None)
    scores, what, values = take_apart(plain(metric.evaluate(40)), 'abc')
    right = votes.argmax(1) == labels
    for number, name in enumerate('abc'):
        assert values[name] == pytest.approx(100 * float(right[labels == number].float().mean()))
    assert what == 'recall' and set(scores) == {'accuracy/top1'}

    coco = {'coco/bbox_mAP': 0.5, 'coco/a_precision': 0.4, 'coco/segm_mAP': 0.6}
    assert take_apart(coco, 'ab') == (
        {'coco/bbox_mAP': 0.5, 'coco/segm_mAP': 0.6}, 'mask AP', {'a': 0.4}
    )  # fmt: skip
    coco = {'coco/bbox_mAP': None, 'coco/shelf/box_precision': 0.4, 'coco/segment_precision': 0.1}
    assert take_apart(coco, ['shelf/box', 'segment', 'box']) == (
        {'coco/bbox_mAP': None}, 'box AP', {'shelf/box': 0.4, 'segment': 0.1}
    )  # fmt: skip


def test_one_seed_has_no_spread():
    row = {'backbone': 'a', 'runs': [{'scores': {'m': 3.0}}], 'cost': None, 'errors': {'x': 'y'}}
    found = summarize(row, 'm')
    assert (found['score'], found['std'], found['latency'], found['error']) == (
        3,
        None,
        None,
        'x: y',
    )


def test_the_logs_of_an_interrupted_run_count_once(tmp_path):
    def log(name, entries):
        file = tmp_path / name / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text('\n'.join(json.dumps(entry) for entry in entries) + '\n{"lr": 0.1, "lo')

    def step(n, seconds):
        return {'lr': 0.1, 'loss': 1 / n, 'time': seconds, 'step': n, 'epoch': n // 20}

    log('20260101_000000', [step(10, 1), step(20, 1), {'m': 0.5, 'step': 1}, step(30, 1)])
    log('20260101_000001', [step(30, 2), step(40, 2), {'m': 0.75, 'step': 2, 'time': 9}])
    found = read_run(tmp_path)
    assert found['scores'] == {'m': 0.75}
    assert found['seconds'] == 10 * (1 + 1 + 2 + 2)
    assert found['curve']['validations'] == [(20, {'m': 0.5}), (40, {'m': 0.75})]
    assert [s for s, _ in found['curve']['loss']] == [10, 20, 30, 40]
    # What the runner knows: 45 iterations in all, 20 an epoch.
    known = read_run(tmp_path, 45, 20)
    assert known['seconds'] == found['seconds'] + 5 * 2
    assert [s for s, _ in known['curve']['validations']] == [20, 40]
    assert found['broken'] is None
    with pytest.raises(ConfigError, match='no results'):
        read_run(tmp_path / '20260101_000000' / 'vis_data')


def test_a_training_that_diverged_is_an_error_of_its_row(tmp_path):
    settings = make_settings(
        RECIPE, ['test_vit'], seeds=[3], mode='train', work_dir=tmp_path, checkpoints=(),
        launcher='local',
    )  # fmt: skip
    job = Job('train', 'test_vit', 3, tmp_path / 'test_vit/seed3')
    log = job.folder / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"lr": 0.1, "loss": 1, "step": 10}\n{"lr": 0.1, "loss": NaN, "step": 20}\n')
    job.result.write_text(json.dumps(plain(read_run(job.folder))))
    more = log.read_text() + '{"lr": 0.1, "loss": 0.5, "step": 30}\n'
    row = make_row(settings, 'test_vit', [job], None)
    assert row['errors'] == {
        'train seed 3': 'diverged: loss was NaN or infinite in 1 of 2 logged lines'
    }
    assert row['runs'][0]['diverged']
    log.write_text(more)  # it was a number again
    assert read_run(job.folder)['broken'] is None


def test_the_memory_is_that_of_inference(options, tmp_path, monkeypatch):
    from vitmm.apis.compare import measure

    def count(model, batch):
        held.append(torch.ones(2**28))  # as whole matrices of attention
        return 0

    held = []
    monkeypatch.setattr(measure, 'count_flops', count)
    options = {**options, 'model.backbone.model_name': 'test_resnet'}
    told = dict(recipe=RECIPE, data=None, options=options, checkpoint=None, amp=False)
    assert measure.measure(told, tmp_path)['memory'] < 512 and held


def test_costs_are_timms_and_a_count_by_hand(options, tmp_path):
    from mmengine.runner import Runner

    from vitmm.apis.compare.measure import count_flops, measure
    from vitmm.apis.launch import prepare
    from vitmm.registry import MODELS

    options = {**options, 'model.backbone.model_name': 'test_resnet'}
    told = dict(recipe=RECIPE, data=None, options=options, checkpoint=None, amp=False)
    found = measure(told, tmp_path)
    bare = timm.create_model('test_resnet', num_classes=6)
    assert found['parameters'] == sum(p.numel() for p in bare.parameters())
    assert found['input'] == [3, 32, 32] and found['batch'] == 32 and not found['trained']
    assert 0 < found['latency']['low'] <= found['latency']['median'] <= found['latency']['high']
    assert found['throughput'] > 0 and found['memory'] >= 0  # of a process that did much before

    cfg = prepare(RECIPE, options=options, work_dir=tmp_path)
    model = MODELS.build(cfg.model).eval()
    counted = []

    def count(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            counted.append(output.numel() * module.weight[0].numel())
        elif isinstance(module, nn.Linear):
            counted.append(output.numel() * module.in_features)

    for module in model.modules():
        module.register_forward_hook(count)
    loader = {**cfg.test_dataloader, 'batch_size': 1}
    assert count_flops(model, next(iter(Runner.build_dataloader(loader)))) == 2 * sum(counted)
    assert found['gflops'] == pytest.approx(sum(counted) / 1e9)


def test_with_amp_losses_and_boxes_are_measured_in_float32_as_they_are_tested(
    options, tmp_path, monkeypatch
):
    from vitmm.apis.compare import measure as module

    seen = []
    monkeypatch.setattr(module, 'use_full_precision_in_losses', seen.append)
    options = {**options, 'model.backbone.model_name': 'test_resnet'}
    for amp in (False, True):
        told = dict(recipe=RECIPE, data=None, options=options, checkpoint=None, amp=amp)
        module.measure(told, tmp_path)
        assert len(seen) == amp


class _Fake:
    """A launcher whose jobs end at once; those of ``broken`` fail."""

    def __init__(self, broken, at_once):
        self.broken, self.at_once, self.started, self.running = broken, at_once, [], 0

    def start(self, words, output):
        told = json.loads(Path(words[3]).read_text())
        kind, folder = told['kind'], Path(told['folder'])
        alone = self.running == 0
        self.running += 1
        self.started.append((kind, folder.name, alone))
        failed = (kind, folder.name) in self.broken
        if failed:
            output.write_text('Traceback …\nerror: no such luck.\nEpoch\n')
        else:
            Path(told['result']).write_text('{"scores": {}}')
        return _Ended(self, int(failed))


class _Ended:
    def __init__(self, launcher, status):
        self.launcher, self.status, self.asked = launcher, status, 0

    def poll(self):
        self.asked += 1
        if self.asked < 2:
            return None
        self.launcher.running -= 1
        return self.status

    def stop(self):
        raise AssertionError('nothing was to be stopped')


@pytest.mark.parametrize('at_once', [1, None])
def test_a_failure_stops_no_other_and_nothing_runs_beside_a_measurement(
    at_once, tmp_path, monkeypatch
):
    monkeypatch.setattr('vitmm.apis.compare.run._POLL', 0)
    settings = make_settings(
        RECIPE, ['a:a', 'b:b'], seeds=(0,), mode='train', work_dir=tmp_path, checkpoints=(),
        launcher='local',
    )  # fmt: skip
    jobs = [
        Job(kind, name, 0, tmp_path / name) for name in ('a', 'b') for kind in ('train', 'test')
    ] + [Job('measure', name, None, tmp_path / f'{name}m') for name in ('a', 'b')]
    launcher = _Fake({('train', 'a')}, at_once)
    ends = []
    run_jobs(jobs, settings, launcher, 1, lambda: ends.append(1))
    kinds = [(kind, folder) for kind, folder, _ in launcher.started]
    assert sorted(kinds) == sorted(
        [('train', 'a'), ('train', 'b'), ('test', 'b'), ('measure', 'am'), ('measure', 'bm')]
    )
    assert all(alone for kind, _, alone in launcher.started if kind == 'measure' or at_once)
    assert [k for k, _ in kinds[-2:]] == ['measure', 'measure']
    assert jobs[0].why_not() == 'no such luck.' and jobs[1].why_not() == 'its training failed'
    # The second time only what failed is tried, and what waited for it.
    again = _Fake(set(), at_once)
    run_jobs(jobs, settings, again, 1, lambda: None)
    assert [(k, f) for k, f, _ in again.started] == [('train', 'a'), ('test', 'a')]
    assert all(job.done() is not None and job.why_not() is None for job in jobs)


def test_killed_and_called_again_it_goes_on(options, tmp_path):
    """kill -9 in the midst of a training: no process is left, and no epoch is done twice."""
    epochs = 12
    options = {**options, 'train_cfg.max_epochs': epochs, 'default_hooks.logger.interval': 1}
    arguments = [RECIPE, '--backbones', 'test_resnet', '--work-dir', tmp_path, '--samples', 2]
    arguments += ['--cfg-options', *as_cfg_options({'env_cfg.mp_cfg': {}, **options})]
    command = [sys.executable, ROOT / 'tools/compare.py', *map(str, arguments)]
    run = tmp_path / 'test_resnet' / 'seed0'
    with (tmp_path / 'out.txt').open('w') as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
        deadline = time.time() + 120
        while not (run / 'epoch_2.pth').exists():
            assert time.time() < deadline and process.poll() is None, (
                tmp_path / 'out.txt'
            ).read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (log,) = run.glob('*/vis_data/scalars.json')
    size = -1
    while size != log.stat().st_size:  # the training ends with what began it
        assert time.time() < deadline
        size = log.stat().st_size
        time.sleep(2)
    assert not (run / 'train.json').exists(), 'it was not interrupted'
    reached = read_run(run)['iterations']
    found = compare(RECIPE, ['test_resnet'], work_dir=tmp_path, samples=2, options=options)
    (row,) = found['rows']
    assert row['errors'] == {} and found['unfinished'] == 0
    (trained,) = row['runs']
    _, second = (
        [json.loads(line)['step'] for line in log.read_text().splitlines() if '"lr"' in line]
        for log in sorted(run.glob('*/vis_data/scalars.json'))
    )
    assert second[0] > 6  # of 6 iterations an epoch: it went on, and did not start anew
    assert second[-1] == 6 * epochs == trained['iterations'] > reached
    assert trained['scores'].keys() == {'accuracy/top1'}
    recalls = trained['per_class']['values'].values()  # of as many images each
    assert np.mean([*recalls]) == pytest.approx(trained['scores']['accuracy/top1'])
    assert len(recalls) == 6 and len(trained['shown']) == 1
    assert found['summary'][0]['latency'] > 0 and row['cost']['trained']
    assert row['cost']['memory'] > 0  # of a process of its own
    before = {file: file.stat().st_mtime for file in tmp_path.rglob('*.job')}
    compare(RECIPE, ['test_resnet'], work_dir=tmp_path, samples=2, options=options)
    assert before == {file: file.stat().st_mtime for file in tmp_path.rglob('*.job')}
    with pytest.raises(ConfigError, match=r'train_cfg\.max_epochs was 12 and is 2'):
        compare(
            RECIPE,
            ['test_resnet'],
            work_dir=tmp_path,
            options={**options, 'train_cfg.max_epochs': 2},
        )


@pytest.mark.parametrize(
    ('arguments', 'kind', 'message'),
    [
        (dict(backbones=['resnet18x', 'vit_tny_patch16_224', 'resnet18']), BackboneError,
         "'resnet18x'.* resnet18.*'vit_tny_patch16_224'.*vit_tiny_patch16_224"),
        (dict(backbones=['resnet18.none']), BackboneError, "no weights 'none', but a1_in1k"),
        (dict(backbones=['resnet18', 'resnet18']), ConfigError, 'resnet18 is named twice'),
        (dict(recipe=CONFIGS / 'cls' / 'convnxt_linear.py'), ConfigError, 'convnext_linear.py'),
        (dict(recipe=CONFIGS / 'mim' / 'vit_mae.py'), ConfigError, 'no metric'),
        (dict(mode='test'), ConfigError, '1 backbones and 0 checkpoints'),
        (dict(mode='test', checkpoints=['/nowhere.pth']), ConfigError, '/nowhere.pth'),
        (dict(mode='test', checkpoints=[ROOT / 'tests']), ConfigError, 'holds no checkpoint'),
        (dict(data='nowhere'), VitmmError, "no data set 'nowhere'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_anything_is_run(
    arguments, kind, message, options, tmp_path
):
    arguments = {'recipe': RECIPE, 'backbones': ['test_resnet'], **arguments}
    with pytest.raises(kind, match=re.compile(message, re.DOTALL)):
        compare(
            work_dir=tmp_path / 'w',
            options=fitting(options, Path(arguments['recipe'])),
            **arguments,
        )
    assert not list(tmp_path.rglob('*.job'))


def test_two_data_sets_do_not_share_a_folder(finished):
    recipe, backbones, arguments = finished
    compare(recipe, backbones, **arguments)
    text = (arguments['work_dir'] / 'compare.md').read_text()
    with pytest.raises(ConfigError, match='with data None, not imagefolder'):
        compare(recipe, backbones, data='imagefolder', **arguments)
    other = {**arguments['options'], 'val_images': 'imagefolder/train'}
    with pytest.raises(
        ConfigError, match='val_images was imagefolder/val and is imagefolder/train'
    ):
        compare(recipe, backbones, **{**arguments, 'options': other})
    assert (arguments['work_dir'] / 'compare.md').read_text() == text


def test_other_settings_are_told_by_what_was_typed_and_where_it_differs(tmp_path):
    steps = [dict(type='LinearLR', begin=0, end=100), dict(type='CosineAnnealingLR', T_max=3)]
    before = {'param_scheduler': steps, 'train_cfg.max_epochs': 3}
    after = {'param_scheduler': [steps[0], steps[1] | dict(T_max=5)], 'train_cfg.max_epochs': 5}

    def settings(epochs):
        return make_settings(
            RECIPE, ['resnet18'], seeds=[0], mode='train', work_dir=tmp_path, checkpoints=(),
            launcher='local', options={'train_cfg.max_epochs': epochs},
        )  # fmt: skip

    keep(settings(3), 'resnet18', before)
    with pytest.raises(ConfigError) as told:
        keep(settings(5), 'resnet18', after)
    words = str(told.value)
    assert words.index('max_epochs was 3 and is 5') < words.index('param_scheduler')
    assert '3}] and is' in words and '5}]' in words
    assert json.loads((tmp_path / 'resnet18/config.json').read_text()) == before


def test_engines_that_are_missing_are_named(options, tmp_path, monkeypatch):
    for name in ('submitit', 'ray'):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ConfigError, match=f'pip install {name}'):
            compare(RECIPE, ['test_resnet'], work_dir=tmp_path, launcher=name, options=options)


def test_several_gpus_are_several_processes():
    words = launchers.command(Path('x.job'), 4, watch=False)
    assert words[1:5] == ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=4']
    assert launchers.command(Path('x.job'), 1, watch=True)[1:3] == ['-m', 'vitmm.apis.compare.job']


def test_help_answers():
    start = time.perf_counter()
    done = run_tool('compare.py', '--help')
    assert done.returncode == 0 and '--backbones' in done.stdout
    assert time.perf_counter() - start < 5  # torch alone takes longer on a busy machine


@pytest.mark.parametrize(
    ('scores', 'expected'),
    [
        ((75, 70, 75), 'a and c have the best top1. One seed each'),
        ((75, 70, 80), 'c has the best top1. One seed each'),
        ((1, 1, 2), 'c has the best top1. One seed each'),
    ],
)
def test_equals_are_both_the_best(scores, expected):
    summary = [
        dict(backbone=name, score=score, std=None, latency=None, seeds=1)
        for name, score in zip('abc', scores, strict=True)
    ]
    found = dict(higher_is_better=True, metric='accuracy/top1', mode='train', summary=summary)
    assert ' '.join(verdict(found)).startswith(expected)
