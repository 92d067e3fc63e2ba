"""Depth from one image: head, loss and metrics against their formulas, and whole runs."""

import math

import pytest
import torch
from mmengine.registry import METRICS, MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from support import CONFIGS

from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.datasets import write_rooms
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError
from vitmm.models import DepthHead

RECIPE = CONFIGS / 'depth' / 'vit_depth.py'
FCN = dict(
    type='mmseg.FCNHead', in_channels=8, in_index=0, channels=8, num_convs=0, concat_input=False
)


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    root = str(write_rooms(tmp_path_factory.mktemp('data') / 'rooms', 8, 4))
    return {
        'data_root': root,
        'prepare_data': None,
        'train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        'train_dataloader.batch_size': 4,
        'model.backbone.model_kwargs.depth': 2,
        'env_cfg.mp_cfg': {},
    }


def sample(depth):
    return SegDataSample(gt_depth_map=PixelData(data=depth[None]))


@pytest.fixture
def head():
    torch.manual_seed(0)
    init_default_scope('mmseg')
    return DepthHead({**FCN, 'dropout_ratio': 0.0}, max_depth=8.0)


def test_depth_is_a_sigmoid_of_the_heads_map(head):
    maps = (torch.randn(2, 8, 5, 6),)
    depth = head(maps)
    assert depth.shape == (2, 1, 5, 6)
    torch.testing.assert_close(depth, 8 / (1 + (-head.head(maps)).exp()))
    assert head.predict(maps, [dict(img_shape=(10, 12))]).shape == (2, 1, 10, 12)


def test_loss_is_eigens_over_the_measured_pixels(head):
    maps = (torch.randn(2, 8, 5, 6),)
    truth = torch.rand(2, 5, 6) * 7 + 0.5
    truth[0, :2] = 0  # not measured
    loss = head.loss(maps, [sample(t) for t in truth])['loss_depth'].item()
    expected = 0.0
    for found, true in zip(head(maps)[:, 0], truth, strict=True):
        logs = [
            math.log(t) - math.log(f)
            for f, t in zip(found.flatten().tolist(), true.flatten().tolist(), strict=True)
            if t > 0
        ]
        square, mean = sum(d * d for d in logs) / len(logs), sum(logs) / len(logs)
        expected += math.sqrt(square - mean**2 / 2) / 2
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_crop_without_any_measured_pixel_brings_no_gradient(head):
    maps = torch.randn(2, 8, 5, 6, requires_grad=True)
    truth = torch.stack([torch.zeros(5, 6), torch.full((5, 6), 3.0)])
    head.loss((maps,), [sample(t) for t in truth])['loss_depth'].backward()
    assert not maps.grad[0].any()
    assert maps.grad[1].isfinite().all() and maps.grad[1].any()


def test_metrics_are_their_formulas():
    config = resolve(load_config(RECIPE, options={'prepare_data': None, 'max_eval': 9.0}))
    init_default_scope('mmseg')
    metric = METRICS.build(config.val_evaluator)
    torch.manual_seed(0)
    scores = []
    for _ in range(2):
        truth = torch.rand(6, 7) * 10 + 0.1
        truth[0] = 0  # not measured
        found = truth.clamp(min=0.5) * (1 + 0.3 * torch.randn(6, 7)).clamp(0.5, 2)
        one = sample(truth)
        one.pred_depth_map = PixelData(data=found[None])
        metric.process({}, [one.to_dict()])
        pairs = [
            (f, t)
            for f, t in zip(found.flatten().tolist(), truth.flatten().tolist(), strict=True)
            if 0 < t < 9
        ]
        scores.append(
            dict(
                rmse=math.sqrt(sum((f - t) ** 2 for f, t in pairs) / len(pairs)),
                abs_rel=sum(abs(f - t) / t for f, t in pairs) / len(pairs),
                d1=sum(max(f / t, t / f) < 1.25 for f, t in pairs) / len(pairs),
            )
        )
    nowhere = sample(torch.full((6, 7), 9.5))  # beyond what is measured
    nowhere.pred_depth_map = PixelData(data=torch.ones(1, 6, 7))
    metric.process({}, [nowhere.to_dict()])
    assert all(isinstance(n, float) for one in metric.results for n in one.values())  # no pixels
    result = metric.compute_metrics(metric.results)
    for name in ('rmse', 'abs_rel', 'd1'):
        mean = sum(score[name] for score in scores) / 2
        assert result[name] == pytest.approx(mean, rel=1e-5), name
        assert 0.05 < mean < 5


def test_the_metrics_are_those_of_mmseg():
    init_default_scope('mmseg')
    pair = [METRICS.build(dict(type=f'{where}.DepthMetric')) for where in ('mmseg', 'vitmm')]
    torch.manual_seed(0)
    for _ in range(3):
        one = sample(torch.rand(6, 7) * 10)
        one.pred_depth_map = PixelData(data=torch.rand(1, 6, 7) * 10)
        for metric in pair:
            metric.process({}, [one.to_dict()])
    theirs, ours = (metric.compute_metrics(metric.results) for metric in pair)
    assert ours == pytest.approx(theirs, rel=1e-6)
    chosen = METRICS.build(dict(type='vitmm.DepthMetric', depth_metrics=['rmse', 'd2']))
    chosen.process({}, [one.to_dict()])
    assert list(chosen.compute_metrics(chosen.results)) == ['rmse', 'd2']
    with pytest.raises(ConfigError, match="has no 'mse'; there are d1"):
        METRICS.build(dict(type='vitmm.DepthMetric', depth_metrics=['mse']))


def test_a_recipe_trains_and_its_checkpoint_says_the_same(options, tmp_path):
    runner = train(RECIPE, work_dir=tmp_path / 'train', options=options)
    assert list((tmp_path / 'train').glob('best_abs_rel_epoch_1.pth'))
    scores = evaluate(
        tmp_path / 'train' / RECIPE.name,
        (tmp_path / 'train' / 'last_checkpoint').read_text(),
        work_dir=tmp_path / 'test',
        show_dir=tmp_path / 'shown',
    )
    (log,) = (tmp_path / 'train').glob('*/*.log')
    summary = log.read_text().partition('Finished vit_depth.')[2]
    assert '8 images to train on, 4 images to validate on\n' in summary  # and no classes
    hub = runner.message_hub
    for name in ('abs_rel', 'rmse', 'd1'):
        assert scores[name] == pytest.approx(hub.get_scalar(f'val/{name}').current(), rel=1e-5)
    assert len(list((tmp_path / 'shown').rglob('*.[jp][pn]g'))) == 4


@pytest.mark.parametrize('recipe', ['vit_depth', 'vit_dpt_depth'])
@pytest.mark.parametrize('name', ['resnet18', 'convnext_atto', 'efficientnet_b0'])
def test_any_backbone_learns_one_batch(name, recipe, options):
    options = {k: v for k, v in options.items() if 'model_kwargs' not in k}
    options |= {'model.backbone.model_name': name, 'model.backbone.model_kwargs': {}}
    path = CONFIGS / 'depth' / f'{recipe}.py'
    config = resolve(load_config(path, options=options))
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    images = torch.randn(2, 3, 64, 64)
    truth = images.mean(1).sigmoid() * 2 + torch.linspace(1, 6, 64)[:, None]
    samples = [sample(depth) for depth in truth]
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = model(images, samples, mode='loss')['decode.loss_depth']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_missing_depth_map_is_told_of_before_training(options, tmp_path):
    root = write_rooms(tmp_path / 'rooms', 2, 1)
    (root / 'annotations/train/room_00001.png').unlink()
    with pytest.raises(DataError, match=r'room_00001\.png'):
        train(RECIPE, work_dir=tmp_path / 'run', options=options | {'data_root': str(root)})


def test_the_data_set_is_swapped_by_its_name():
    config = load_config(RECIPE, data='nyu')
    assert config.data_root == 'data/nyu' and 'prepare_data' not in config
    assert config.model.backbone.model_name == 'vit_tiny_patch16_224'
    assert resolve(config).val_evaluator.crop_type == 'nyu_crop'
