"""Ranking frozen features: the linear model by its formula, each task by a known answer."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support import CONFIGS
from torch.nn.functional import interpolate, one_hot, pad

from vitmm.apis.compare.compare import compare
from vitmm.apis.compare.probe import dense, probe, whole
from vitmm.apis.compare.probe.ridge import _PENALTIES, Ridge, _solve
from vitmm.datasets import write_rooms
from vitmm.errors import ConfigError


def test_ridge_is_the_closed_form():
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 7)) * 10 ** random.uniform(-2, 2, 7) + 5
    onehot = np.eye(3)[random.integers(0, 3, 300)]
    ridge = Ridge(7, 3)
    for part in range(0, 300, 50):
        ridge.add(torch.tensor(x[part : part + 50]), torch.tensor(onehot[part : part + 50]))
    weight, bias = ridge.fit()
    # All at once, on standardised features; with nothing held out the penalty is the middle one.
    standard = (x - x.mean(0)) / x.std(0)
    penalty = 0.01 * len(x)
    solution = np.linalg.solve(
        standard.T @ standard + penalty * np.eye(7), standard.T @ (onehot - onehot.mean(0))
    )
    expected = standard @ solution + onehot.mean(0)
    np.testing.assert_allclose(x @ weight.numpy() + bias.numpy(), expected, atol=1e-4)


def test_the_error_on_what_was_held_out_is_that_of_its_samples():
    torch.manual_seed(0)
    x, noise = torch.randn(40, 30), torch.randn(4000, 30)
    y, onehot = (one_hot((some[:, 0] > 0).long(), 2) for some in (x, noise))
    ridge = Ridge(30, 2)
    ridge.add(x, y)
    ridge.add(noise, onehot, held_out=True)
    solutions = _solve(ridge.squares[0], ridge.targets[0], _PENALTIES)
    slow = [
        ((noise.double() @ s[:-1] + s[-1] - onehot) ** 2).sum() - (onehot**2).sum()
        for s in solutions
    ]
    fast = [ridge._error(s) for s in solutions]
    np.testing.assert_allclose(fast, slow, rtol=1e-6)


SMALL = {
    'cls': ('convnext_linear', {'image_size': 64, 'resize_edge': 64}),
    'seg': ('convnext_fcn', {'image_scale': (96, 96), 'crop_size': (96, 96)}),
    'det': ('convnext_retinanet', {'image_scale': (96, 96)}),
    'multilabel': ('resnet_multilabel', {'image_size': 64, 'resize_edge': 64}),
    'depth': ('vit_depth', {}),
}


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    root = write_rooms(tmp_path_factory.mktemp('data') / 'rooms', 6, 2)
    return {
        'data_root': str(root),
        'prepare_data': None,
        'train_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        'val_dataloader.batch_size': 1,  # a fifth of the batches chooses the penalty
        'env_cfg.mp_cfg': {},
    }


def told(task, tiny_options, backbone='test_convnext'):
    name, small = SMALL[task]
    options = {**tiny_options, **small, 'model.backbone.model_name': backbone}
    if task == 'det':
        options['model.backbone.out_strides'] = (8, 16, 32)
    folder = 'cls' if task == 'multilabel' else task
    return dict(recipe=CONFIGS / folder / f'{name}.py', data=None, options=options, amp=False)


@pytest.mark.parametrize(
    ('task', 'metric'),
    [
        ('cls', 'linear/top1'),
        ('multilabel', 'multi-label/mAP'),
        ('seg', 'mIoU'),
        ('det', 'boxes/top1'),
    ],
)
def test_each_task_has_a_ranking(task, metric, tiny_options, tmp_path):
    found = probe(told(task, tiny_options), tmp_path)
    assert 0 < found['scores'][metric] <= 100
    assert not found['pretrained']
    assert set(found['per_class']['values']) >= {'circle', 'star'}
    again = probe(told(task, tiny_options), tmp_path / 'again')
    # The seed is the recipe's; untrained weights, then, and the answer are the same.
    assert found['scores'] == again['scores']


@pytest.fixture
def perfect(monkeypatch):
    """A function: let a perfect backbone see ``channels_of(sample)``, (C, h, w), of the truth."""

    def install(channels_of):
        seen = {}
        plain = dense.Runner.build_dataloader

        class Watched:
            def __init__(self, loader):
                self.inner = plain(loader)
                self.dataset = self.inner.dataset

            def __len__(self):
                return len(self.inner)

            def __iter__(self):
                for batch in self.inner:
                    height, width = batch['inputs'][0].shape[1:]
                    maps = [
                        interpolate(channels_of(one)[None], (height, width), mode='nearest-exact')
                        for one in batch['data_samples']
                    ]
                    # At stride 1, padded as the images will be.
                    seen['now'] = pad(torch.cat(maps), (0, -width % 32, 0, -height % 32))
                    yield batch

        monkeypatch.setattr(dense, '_joined', lambda model, images, amp: seen['now'])
        monkeypatch.setattr(dense.Runner, 'build_dataloader', Watched)

    return install


def test_features_that_tell_the_mask_give_the_mask(tiny_options, tmp_path, perfect):
    """Labels at the centres of cells and scores at pixels must meet at the same places."""

    def channels_of(sample):
        mask = sample.gt_sem_seg.data[0].clamp(max=7).long()
        return one_hot(mask, 8).movedim(-1, 0).float()

    perfect(channels_of)
    found = probe(told('seg', tiny_options), tmp_path)
    assert found['scores']['aAcc'] > 97  # resampling from 96 pixels blurs the edges


def test_features_that_tell_the_depth_give_the_depth(rooms, tmp_path, perfect):
    def channels_of(sample):
        depth = sample.gt_depth_map.data
        return torch.cat([depth.clamp(min=0.1).log(), torch.rand_like(depth)])

    perfect(channels_of)
    found = probe(told('depth', rooms), tmp_path)
    assert found['scores']['abs_rel'] < 1e-3 and found['scores']['d1'] > 0.999


def test_depth_of_features_that_tell_nothing(rooms, tmp_path, perfect):
    """Then each pixel is as far as the geometric mean of the training set's depths."""
    generator = torch.Generator().manual_seed(0)
    perfect(lambda sample: torch.rand(1, *sample.gt_depth_map.shape, generator=generator))
    found = probe(told('depth', rooms), tmp_path)
    folder = Path(rooms['data_root'])
    train, test = (
        [cv2.imread(str(path), -1) / 1000 for path in sorted(folder.glob(f'annotations/{name}/*'))]
        for name in ('train', 'test')
    )
    assert len(train) == 6 and len(test) == 2
    mean = np.exp(np.log(np.concatenate([d[d > 0] for d in train])).mean())
    errors = [(np.abs(mean - d[d > 0]) / d[d > 0]).mean() for d in test]
    assert found['scores']['abs_rel'] == pytest.approx(np.mean(errors), rel=0.1)


def test_features_that_tell_the_labels_give_the_labels(tiny_options, tmp_path, monkeypatch):
    def see(model, loader, what, amp, truth_of):
        for batch in loader:
            truth = torch.cat([
                truth_of(s) for s in model.data_preprocessor(batch)['data_samples']
            ])  # fmt: skip
            yield truth @ mixing + 3, truth

    mixing = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(whole, 'feature_batches', see)
    found = probe(told('multilabel', tiny_options), tmp_path)
    assert found['scores']['multi-label/mAP'] == pytest.approx(100, abs=0.1)
    assert found['scores']['multi-label/f1-score'] == pytest.approx(100, abs=0.1)
    assert set(found['per_class']['values']) >= {'circle', 'star'}


def test_other_tasks_are_refused_before_their_data_is_written(tmp_path):
    options = {'data_root': str(tmp_path / 'shapes')}
    options['model.type'] = 'mmpretrain.BaseRetriever'
    recipe = CONFIGS / 'cls' / 'convnext_linear.py'
    with pytest.raises(ConfigError, match='not for BaseRetriever'):
        compare(recipe, ['test_vit'], mode='probe', work_dir=tmp_path / 'w', options=options)
    assert not list(tmp_path.iterdir())
