"""Ranking frozen features: the linear model by its formula, each task by a known answer."""

import numpy as np
import pytest
import torch
from support import CONFIGS

from vitmm.apis.compare import probe as module
from vitmm.apis.compare.compare import compare
from vitmm.apis.compare.probe import probe
from vitmm.apis.compare.ridge import Ridge
from vitmm.errors import ConfigError


def test_ridge_is_the_closed_form():
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 7)) * 10 ** random.uniform(-2, 2, 7) + 5
    y = random.integers(0, 3, 300)
    ridge = Ridge(7, 3)
    for part in range(0, 300, 50):
        ridge.add(torch.tensor(x[part : part + 50]), torch.tensor(y[part : part + 50]))
    weight, bias = ridge.fit()
    # All at once, on standardised features; with nothing held out the penalty is the middle one.
    standard = (x - x.mean(0)) / x.std(0)
    onehot = np.eye(3)[y]
    penalty = 0.01 * len(x)
    solution = np.linalg.solve(
        standard.T @ standard + penalty * np.eye(7), standard.T @ (onehot - onehot.mean(0))
    )
    expected = standard @ solution + onehot.mean(0)
    np.testing.assert_allclose(x @ weight.numpy() + bias.numpy(), expected, atol=1e-4)


def test_the_error_on_what_was_held_out_is_that_of_its_samples():
    torch.manual_seed(0)
    x, noise = torch.randn(40, 30), torch.randn(4000, 30)
    y, truth = (x[:, 0] > 0).long(), (noise[:, 0] > 0).long()
    ridge = Ridge(30, 2)
    ridge.add(x, y)
    ridge.add(noise, truth, held_out=True)
    from vitmm.apis.compare.ridge import _PENALTIES, _solve

    solutions = _solve(ridge.squares[0], ridge.targets[0], _PENALTIES)
    onehot = torch.nn.functional.one_hot(truth, 2).double()
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
}


def told(task, tiny_options, backbone='test_convnext'):
    name, small = SMALL[task]
    options = {**tiny_options, **small, 'model.backbone.model_name': backbone}
    if task == 'det':
        options['model.backbone.out_strides'] = (8, 16, 32)
    return dict(recipe=CONFIGS / task / f'{name}.py', data=None, options=options, amp=False)


@pytest.mark.parametrize(
    ('task', 'metric'), [('cls', 'linear/top1'), ('seg', 'mIoU'), ('det', 'boxes/top1')]
)
def test_each_task_has_a_ranking(task, metric, tiny_options, tmp_path):
    found = probe(told(task, tiny_options), tmp_path)
    assert 0 < found['scores'][metric] <= 100
    assert not found['pretrained']
    assert set(found['per_class']['values']) >= {'circle', 'star'}
    again = probe(told(task, tiny_options), tmp_path / 'again')
    # The seed is the recipe's; untrained weights, then, and the answer are the same.
    assert found['scores'] == again['scores']


def test_features_that_tell_the_mask_give_the_mask(tiny_options, tmp_path, monkeypatch):
    """Labels at the centres of cells and scores at pixels must meet at the same places."""
    truths = {}

    def read(model, images, amp):
        # What a perfect backbone would see: the class of each pixel, at stride 1.
        return truths['now']

    plain = module.Runner.build_dataloader

    def build(loader, *args, **kwargs):
        def watched(batches):
            for batch in batches:
                masks = [s.gt_sem_seg.data[0] for s in batch['data_samples']]
                height, width = batch['inputs'][0].shape[1:]
                sizes = [(height + 31) // 32 * 32, (width + 31) // 32 * 32]
                maps = torch.zeros(len(masks), 8, *sizes)
                for one, mask in zip(maps, masks, strict=True):
                    onehot = torch.nn.functional.one_hot(mask.clamp(max=7).long(), 8)
                    small = torch.nn.functional.interpolate(
                        onehot.movedim(-1, 0)[None].float(), (height, width), mode='nearest-exact'
                    )[0]
                    one[:, :height, :width] = small
                truths['now'] = maps
                yield batch

        class Loader:
            dataset = plain(loader).dataset

            def __len__(self):
                return len(plain(loader))

            def __iter__(self):
                return watched(plain(loader))

        return Loader()

    monkeypatch.setattr(module, '_joined', read)
    monkeypatch.setattr(module.Runner, 'build_dataloader', staticmethod(build))
    found = probe(told('seg', tiny_options), tmp_path)
    assert found['scores']['aAcc'] > 97  # resampling from 96 pixels blurs the edges


def test_other_tasks_are_refused_before_their_data_is_written(tmp_path):
    options = {'data_root': str(tmp_path / 'rooms')}
    recipe = CONFIGS / 'depth' / 'vit_depth.py'
    with pytest.raises(ConfigError, match='not for DepthEstimator yet'):
        compare(recipe, ['test_vit'], mode='probe', work_dir=tmp_path / 'w', options=options)
    assert not list(tmp_path.iterdir())
