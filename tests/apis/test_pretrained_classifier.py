"""A pretrained model's own accuracy, without training, and fine-tuning that begins there."""

import pickle

import pytest
import timm
import torch
from PIL import Image
from support import CONFIGS, as_cfg_options, fork_tool
from timm.data import create_transform, resolve_model_data_config

from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train
from vitmm.errors import ConfigError, WeightsError

RECIPE = CONFIGS / 'cls' / 'timm_classifier.py'
NAME = 'test_efficientnet'  # timm's smallest: native 160, 95 of 100 kept


@pytest.fixture
def donor(tmp_path):
    torch.manual_seed(1)
    model = timm.create_model(NAME, num_classes=6).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    torch.save(model.state_dict(), tmp_path / 'donor.pth')
    return model


@pytest.fixture
def options(tmp_path, tiny_options):
    return {
        **tiny_options,
        'model.backbone.model_name': NAME,
        'model.backbone.pretrained': str(tmp_path / 'donor.pth'),
    }


def test_it_is_what_timm_measures(donor, options, tiny_shapes, tmp_path):
    done = fork_tool(
        'test.py', RECIPE, 'none', '--data=shapes', '--out', tmp_path / 'out.pkl',
        '--work-dir', tmp_path / 'work', '--cfg-options', *as_cfg_options(options),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / 'out.pkl').open('rb') as file:
        found = pickle.load(file)

    config = resolve_model_data_config(donor, use_test_size=True)
    transform = create_transform(**config)
    folders = sorted(p for p in (tiny_shapes / 'imagefolder/val').iterdir() if p.is_dir())
    files = [(path, label) for label, f in enumerate(folders) for path in sorted(f.iterdir())]
    images = torch.stack([transform(Image.open(path).convert('RGB')) for path, _ in files])
    with torch.no_grad():
        scores = donor(images).softmax(1)
    assert len(found) == len(scores)
    torch.testing.assert_close(
        torch.stack([f['pred_score'] for f in found]), scores, atol=2e-3, rtol=0
    )
    top1 = (scores.argmax(1) == torch.tensor([label for _, label in files])).float().mean()
    assert f'accuracy/top1: {100 * top1:.4f}' in done.stdout + done.stderr


def test_fine_tuning_begins_with_that_classifier(donor, options, tmp_path):
    options |= {'optim_wrapper.optimizer.lr': 0.0, 'optim_wrapper.optimizer.weight_decay': 0.0}
    runner = train(RECIPE, work_dir=tmp_path / 'work', data='shapes', options=options)
    found = runner.model.backbone.model.state_dict()
    for name in ('classifier.weight', 'classifier.bias', 'conv_stem.weight'):
        assert torch.equal(found[name], donor.state_dict()[name])


def test_what_is_not_pretrained_is_not_measured(donor, options, tmp_path):
    for changed, error, words in (
        ({'model.backbone.pretrained': False}, ConfigError, 'pretrained is not set'),
        ({'model.backbone.num_classes': 5}, WeightsError, r'lack classifier\.weight'),
    ):
        with pytest.raises(error, match=words):
            evaluate(
                RECIPE,
                None,
                data='shapes',
                work_dir=tmp_path / 'work',
                options={**options, **changed},
            )
    linear = CONFIGS / 'cls' / 'vit_linear.py'
    with pytest.raises(ConfigError, match=r'head\.fc\.weight was not trained'):
        evaluate(linear, None, work_dir=tmp_path / 'work', options=options)
