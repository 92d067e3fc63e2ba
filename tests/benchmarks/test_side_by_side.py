"""The comparisons with other libraries run, on models and images as small as they get."""

import json
import math
from dataclasses import replace

import draw
import iterations
import loops
import models
import one_run
import pairs
import proposals
import pytest
import stock
import torch
from mmengine.config import Config
from support import CONFIGS, COUNTS, ROOT, UNSAVED, fork_tool
from torchvision.ops import box_iou

TINY = pairs.Setting(size=64, batch=2, rois=8, objects=2)


def command(name, rows, tmp_path, *options):
    """Run a benchmark; its table's rows by name, and its JSON."""
    file = tmp_path / 'figures.json'
    done = fork_tool(ROOT / 'benchmarks' / name, *rows, '--json', file, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith('|')]
    table = [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines]
    assert all(len(cells) == len(table[0]) for cells in table)
    return {cells[0]: cells for cells in table[2:]}, json.loads(file.read_text())


def test_models(tmp_path):
    rows = ['vit_small/maps/mmpretrain.TIMMBackbone', 'resnet50/retinanet/mmdet.ResNet']
    small = ('--size', '64', '--rounds', '1', '--seconds', '0', '--rois', '8')
    table, told = command('models.py', rows, tmp_path, *small)
    assert list(table) == rows
    assert told['settings']['size'] == 64
    assert told['machine']['versions']['torch'] == torch.__version__.partition('+')[0]
    for row in told['rows']:
        assert row['vitmm']['parameters'] == row['peer']['parameters']
        assert row['vitmm']['forward_seconds'] < row['vitmm']['seconds']
        ratio = row['vitmm']['seconds'] / row['peer']['seconds']
        assert row['both']['median'] == pytest.approx(ratio)
        assert row['vitmm']['mib'] > 0


@pytest.mark.parametrize(
    'name, more',
    [
        ('resnet50/mask_rcnn/mmdet.ResNet', 0),
        ('swin_tiny/upernet/mmseg.SwinTransformer', 0),
        ('resnet50/faster_rcnn/torchvision', 4 * (1024 + 1)),  # a box for the background
    ],
)
def test_both_sides_have_the_same_head(name, more):
    told = models.take_turns(name, TINY, 1, 0)
    assert 'error' not in told, told['error']
    assert told['peer']['parameters'] - told['vitmm']['parameters'] == more


@pytest.mark.parametrize('ours', [True, False])
def test_both_mask_heads_get_all_the_regions_they_are_to(ours):
    row = 'resnet50/mask_rcnn/torchvision'
    setting = replace(TINY, rois=32)  # of which 8 may be positive: the 2 objects are not enough
    side = pairs.build(row, ours, setting)
    heads = side.model.roi_head if ours else side.model.roi_heads
    regions = []
    for name in ('bbox_head', 'mask_head') if ours else ('box_head', 'mask_head'):
        getattr(heads, name).register_forward_pre_hook(lambda _, args: regions.append(len(args[0])))
    side.loss()
    assert regions == [2 * 32, 2 * 8]


def test_proposals_are_near_as_many_objects_as_they_are_to():
    boxes = torch.tensor([[10.0, 10, 30, 40], [0, 50, 64, 64], [5, 5, 9, 9]])
    found = proposals.around(boxes, 64, 30)
    assert found.shape == (proposals.COUNT, 4)
    assert torch.equal(found, proposals.around(boxes, 64, 30))
    assert found.min() >= 0 and found.max() <= 64
    assert (found[:, 2:] > found[:, :2]).all()
    near = box_iou(found[:30], boxes) > 0.6
    assert near.sum(0).tolist() == [10, 10, 10]


def test_iterations(tmp_path):
    rows = ['cls/vit_linear / OpenMMLab']  # the heads take longer
    short = ('--iterations', '1', '--warmup', '1', '--rounds', '1', '--workers', '0')
    small = ('--batch', '2', '--size', '64', '--ours', 'train_cfg.max_epochs=3')
    table, told = command('iterations.py', rows, tmp_path, *short, *small)
    assert list(table) == rows
    for row in told['rows']:
        assert row['vitmm']['parameters'] == row['peer']['parameters']
        assert row['ratio']['median'] == row['vitmm']['seconds'] / row['peer']['seconds']
        assert 0 < row['vitmm']['data'] < 1
        assert row['vitmm']['first'] > row['vitmm']['seconds']
    assert draw.about(told).endswith(f'fp32, torch {torch.__version__.split("+")[0]}')
    other = {'row': 'det/x / torchvision', 'ratio': dict(median=1.3, low=1.2, high=1.4)}
    panel = draw.draw([other, *told['rows']], 'here').axes[0]
    names = [tick.get_text() for tick in panel.get_yticklabels()]
    assert names == ['det/x', 'cls/vit_linear']  # from below, peer by peer
    assert [bar.get_width() for bar in panel.patches[:2]] == [
        1.3,
        told['rows'][0]['ratio']['median'],
    ]
    assert panel.get_xlim()[1] == pytest.approx(max(1.4, told['rows'][0]['ratio']['high']))


def test_inference(tmp_path):
    small = ('--images', '4', '--batch', '2', '--rounds', '1')
    table, told = command('inference.py', ['cls'], tmp_path, *small)
    assert list(table) == ['cls, predicted', 'cls, with pictures']
    for row in told['rows']:
        assert row['ratio']['median'] == pytest.approx(row['peer'] / row['vitmm'])  # images/s
        assert min(row['peer'], row['vitmm']) > 0.1


@pytest.mark.parametrize(
    'loop, told',
    [
        *((loops.torchvision, dict(head=head, model='resnet18')) for head in iterations.HEADS),
        *((loops.timm, settings) for settings in iterations.TIMM.values()),
    ],
)
def test_plain_loops_run(loop, told, tiny_shapes):
    job = dict(device='cpu', precision='fp32', batch=2, workers=0, image_size=64, **told)
    clock = one_run.Clock(1, 1, 'cpu')
    with pytest.raises(one_run.EnoughError):
        loop({**job, 'data_root': str(tiny_shapes)}, clock)
    assert len(clock.begun) == len(clock.ended) == 2
    assert clock.report(clock.first)['parameters'] > 1e6


def test_what_fails_is_told(monkeypatch):
    monkeypatch.setitem(pairs.PEERS, 'mmpretrain.VisionTransformer', dict(arch='no such'))
    name = 'vit_small/maps/mmpretrain.VisionTransformer'
    told = models.take_turns(name, TINY, 1, 0)
    assert told['error'].startswith('peer fails: ')
    assert models.cells({'row': name, 'note': ''} | told)[-1] == told['error']


def test_other_maps_are_no_comparison(monkeypatch):
    settings = dict(pairs.PEERS['mmpretrain.ConvNeXt'], arch='atto')
    monkeypatch.setitem(pairs.PEERS, 'mmpretrain.ConvNeXt', settings)
    told = models.take_turns('convnext_tiny/maps/mmpretrain.ConvNeXt', TINY, 1, 0)
    assert told['error'].startswith('not the same maps')


def test_clock(monkeypatch):
    times = iter([0.0, 1.0, 1.5, 4.0, 4.5, 6.0])  # begins, ends, begins, ...
    monkeypatch.setattr(one_run.time, 'perf_counter', lambda: next(times))
    clock = one_run.Clock(1, 2, 'cpu')
    clock.model = torch.nn.Linear(2, 1)
    with pytest.raises(one_run.EnoughError):
        for _ in range(9):
            clock.begins()
            clock.ends()
    told = clock.report(clock.first - 7)
    assert told['seconds'] == 2.5  # of 3 and 2
    assert told['data'] == pytest.approx(1 / 5)
    assert told['first'] == pytest.approx(7)
    assert told['parameters'] == 3


def test_the_metric_is_a_part_of_a_validation(monkeypatch):
    times = iter([0.0, 1.0, 1.5, 4.0, 4.5, 6.0, 9.0])
    monkeypatch.setattr(one_run.time, 'perf_counter', lambda: next(times))
    clock = one_run.Clock(1, math.inf, 'cpu')
    clock.model = torch.nn.Linear(2, 1)
    clock.images = [4, 3, 2]
    for _ in range(3):
        clock.begins()
        clock.ends()
    with pytest.raises(one_run.EnoughError):
        clock.finishes()
    told = clock.report(clock.first)
    assert told['seconds'] == (9 - 1) / (3 + 2)  # of an image
    assert told['data'] == pytest.approx(1 / 8)


def run_small(kind, iterations, options, work_dir):
    """The clock of our side of a small classifier, when it has had enough."""
    small = {'image_size': 32, 'model.backbone.model_name': 'test_resnet'}
    job = dict(recipe=CONFIGS / 'cls' / 'vit_linear.py', options={**options, **small}, kind=kind)
    job |= dict(own=[], switches={}, precision='fp32', work_dir=work_dir)
    clock = one_run.Clock(1, iterations, 'cpu')
    with pytest.raises(one_run.EnoughError):
        one_run.vitmm(job, clock)
    return clock


def test_a_whole_validation_is_timed(tiny_options, tmp_path):
    options = {**tiny_options, 'val_dataloader.batch_size': 4}
    clock = run_small('val', math.inf, options, tmp_path)
    assert clock.images == [4] * (COUNTS['num_cls_val'] // 4)
    assert len(clock.begun) == len(clock.ended) == len(clock.images)
    assert clock.begun[0] < clock.ended[0] < clock.ended[-1] < clock.finished


def test_whole_epochs_are_timed(tiny_options, tmp_path):
    options = {**tiny_options, **UNSAVED, 'train_cfg.max_epochs': 3}
    clock = run_small('epoch', 2, options, tmp_path)
    assert len(clock.begun) == len(clock.ended) == 3
    order = [time for pair in zip(clock.begun, clock.ended, strict=True) for time in pair]
    assert order == sorted(order)
    told = clock.report(0)
    assert told['seconds'] == pytest.approx((clock.ended[2] - clock.ended[0]) / 2)
    assert 0 < told['data'] < 1


@pytest.mark.parametrize('recipe', iterations.STOCK)
def test_stock_recipes_differ_in_our_parts_only(recipe, tiny_options):
    from vitmm.config import load_config, resolve

    ours = resolve(load_config(CONFIGS / f'{recipe}.py', options=tiny_options))
    plain = stock.to_stock(ours, iterations.STOCK[recipe])
    assert 'vitmm' not in str(plain.to_dict())
    wrapper = ours.optim_wrapper.to_dict()
    assert wrapper['optimizer'].pop('fused')
    assert plain.optim_wrapper.to_dict() == {**wrapper, 'type': 'OptimWrapper'}
    assert plain.param_scheduler == ours.param_scheduler
    steps = [[s.type for s in c.train_dataloader.dataset.pipeline] for c in (ours, plain)]
    assert len(steps[0]) == len(steps[1]) + 1  # vitmm.Planes
    head = 'head' if recipe.startswith('cls') else 'decode_head'
    same = ours.model.get(head)
    if head == 'head':
        same = {**same, 'loss': dict(type='mmpretrain.CrossEntropyLoss', loss_weight=1.0)}
    assert plain.model.get(head) == same
    assert isinstance(plain, Config)
