import math

import pytest
import timm
import torch
from PIL import Image
from support import CONFIGS, as_cfg_options, fork_tool
from timm.data import create_transform

from vitmm.apis.knn import knn, vote
from vitmm.apis.train import train
from vitmm.errors import ConfigError

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'
NAME = 'test_resnet'  # timm's smallest


def count_votes(query, bank, labels, k, temperature, num_classes):
    """One image at a time, by the definition."""
    cosines = [float(query @ other / query.norm() / other.norm()) for other in bank]
    nearest = sorted(range(len(bank)), key=lambda i: -cosines[i])[:k]
    votes = [0.0] * num_classes
    for i in nearest:
        votes[int(labels[i])] += math.exp(cosines[i] / temperature)
    return [v / sum(votes) for v in votes]


@pytest.mark.parametrize('k', [1, 3, 7])
def test_votes_are_the_definitions(k, monkeypatch):
    monkeypatch.setattr('vitmm.apis.knn._QUERIES', 2)
    torch.manual_seed(0)
    queries, bank, labels = torch.randn(5, 8), torch.randn(7, 8), torch.randint(4, (7,))
    found = vote(queries, bank, labels, k, 0.3, 4)
    expected = [count_votes(q, bank, labels, k, 0.3, 4) for q in queries]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.fixture
def options(tiny_options, tmp_path):
    torch.manual_seed(2)
    torch.save(timm.create_model(NAME).state_dict(), tmp_path / 'donor.pth')
    return {
        **tiny_options,
        'image_size': 64,
        'resize_edge': 64,
        'model.backbone.model_name': NAME,
        'model.backbone.pretrained': str(tmp_path / 'donor.pth'),
    }


def read(folder, model):
    """Features and labels by timm alone; mean and std are those of the model."""
    config = dict(mean=model.pretrained_cfg['mean'], std=model.pretrained_cfg['std'])
    transform = create_transform((3, 64, 64), interpolation='bicubic', crop_pct=1.0, **config)
    folders = sorted(p for p in folder.iterdir() if p.is_dir())
    files = [(path, label) for label, f in enumerate(folders) for path in sorted(f.iterdir())]
    images = torch.stack([transform(Image.open(path).convert('RGB')) for path, _ in files])
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images), pre_logits=True)
    return features, torch.tensor([label for _, label in files])


def test_from_files_to_figures(options, tiny_shapes, tmp_path):
    words = as_cfg_options(options)
    done = fork_tool(
        'knn.py', RECIPE, '--neighbours', 1, 5, '--work-dir', tmp_path / 'work',
        '--cfg-options', *words,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    torch.manual_seed(2)
    model = timm.create_model(NAME).eval()
    bank, labels = read(tiny_shapes / 'imagefolder/train', model)
    queries, truths = read(tiny_shapes / 'imagefolder/val', model)
    for k in (1, 5):
        votes = [count_votes(q, bank, labels, k, 0.07, 6) for q in queries]
        top1 = 100 * (torch.tensor(votes).argmax(1) == truths).double().mean()
        assert f'knn{k}/top1: {top1:.2f}' in done.stdout


def test_its_own_training_images_are_nearest(options, tmp_path):
    """The same after training, from the checkpoint, and from maps."""
    options |= {'val_images': 'imagefolder/train'}
    runner = train(RECIPE, work_dir=tmp_path / 'a', options=options)
    last = tmp_path / 'a' / 'epoch_1.pth'
    assert runner.epoch == 1
    settings = dict(neighbours=[1], work_dir=tmp_path / 'b')
    resolved = tmp_path / 'a' / RECIPE.name
    before = resolved.read_text()
    found = knn(resolved, last, neighbours=[1], options={'topk': (1, 2)})
    assert found['knn1/top1'] == 100.0
    assert resolved.read_text() == before  # that of the training
    options |= {'model.backbone.output': 'maps', 'model.neck': {'type': 'GlobalAveragePooling'}}
    assert knn(RECIPE, options=options, **settings) == {'knn1/top1': 100.0}


@pytest.mark.parametrize(
    ('recipe', 'settings', 'words'),
    [
        ('cls/vit_linear', dict(temperature=0), 'a temperature above 0'),
        ('cls/vit_linear', dict(neighbours=[100]), '100 neighbours among 24'),
        ('cls/timm_classifier', dict(data='shapes'), 'a head on features'),
        ('seg/vit_fcn', {}, r'mmseg\.EncoderDecoder'),
    ],
)
def test_bad_input(recipe, settings, words, tiny_options, tmp_path, monkeypatch):
    # It is told before any image is looked at.
    monkeypatch.setattr('vitmm.apis.knn.feature_batches', None)
    more = {'image_size': 32, 'resize_edge': 32} if recipe == 'cls/vit_linear' else {}
    with pytest.raises(ConfigError, match=words):
        knn(
            CONFIGS / f'{recipe}.py',
            work_dir=tmp_path,
            options={**tiny_options, **more},
            **settings,
        )
