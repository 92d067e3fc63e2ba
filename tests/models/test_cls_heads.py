"""Every head of classification learns all of itself, from mixed images, and predicts."""

import json
import pickle

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner
from support import CLASSIFIERS, CONFIGS

from vitmm.config import load_config, resolve

BASES = CONFIGS / '_base_'
BACKBONES = {
    'vit_tiny_patch16_224': dict(depth=2, embed_dim=48, num_heads=3),
    'resnet18': dict(layers=(1, 1, 1, 1), channels=(16, 24, 32, 48)),
}


@pytest.fixture(scope='session')
def labelled(tiny_shapes):
    """Which classes each scene of shapes has, as a data set of several labels."""
    for split in ('train', 'val'):
        coco = json.loads((tiny_shapes / f'coco/instances_{split}.json').read_text())
        labels = {image['id']: set() for image in coco['images']}
        for annotation in coco['annotations']:
            labels[annotation['image_id']].add(annotation['category_id'] - 1)
        entries = [
            {'img_path': image['file_name'], 'gt_label': sorted(labels[image['id']])}
            for image in coco['images']
        ]
        entries[0]['gt_label'] = []  # may be none
        classes = [category['name'] for category in coco['categories']]
        content = {'metainfo': {'classes': classes}, 'data_list': entries}
        (tiny_shapes / f'{split}.json').write_text(json.dumps(content))
    return {'train_images': 'JPEGImages', 'val_images': 'JPEGImages'}


@pytest.fixture
def config_of(tmp_path, tiny_options, labelled):
    def build(head, name, **options):
        data = 'multilabel' if head == 'multilabel' else 'shapes'
        parts = [f'models/{head}.py', f'datasets/cls/{data}.py', 'schedules/adamw.py']
        recipe = tmp_path / 'recipe.py'
        files = [str(BASES / part) for part in [*parts, 'runtime/cls.py']]
        recipe.write_text(f'_base_ = {files}\n')
        own = labelled if head == 'multilabel' else {}
        return resolve(
            load_config(
                recipe,
                options={
                    **tiny_options,
                    **own,
                    'image_size': 64,
                    'resize_edge': 64,
                    'model.backbone.model_name': name,
                    'model.backbone.model_kwargs': BACKBONES[name],
                    **options,
                },
            )
        )

    return build


def test_several_labels_from_training_to_test(config_of, tmp_path):
    from vitmm.apis.test import test as evaluate
    from vitmm.apis.train import train

    config = config_of('multilabel', 'resnet18')
    config.dump(tmp_path / 'several.py')
    train(tmp_path / 'several.py', work_dir=tmp_path / 'a')
    (best,) = (tmp_path / 'a').glob('best_multi-label_mAP_*.pth')
    settings = dict(work_dir=tmp_path / 'b', out=tmp_path / 'out.pkl')
    scores = evaluate(tmp_path / 'several.py', best, **settings)
    assert {'multi-label/mAP', 'multi-label/f1-score'} <= scores.keys()
    with (tmp_path / 'out.pkl').open('rb') as file:
        found = pickle.load(file)
    given = torch.stack([sample['pred_score'] for sample in found])
    truth = torch.zeros(given.shape, dtype=torch.bool)
    for row, sample in zip(truth, found, strict=True):
        row[sample['gt_label']] = True
    assert truth.sum() > 0 and given.shape == truth.shape
    mean = torch.tensor([average_precision(t, g) for t, g in zip(truth.T, given.T, strict=True)])
    assert scores['multi-label/mAP'] == pytest.approx(100 * mean.mean().item(), abs=1e-3)


def average_precision(truth, scores):
    """The mean, over the images of a class, of the precision down to each of them."""
    ordered = truth[scores.argsort(descending=True)].float()
    if not ordered.sum():
        return 0.0  # as mmpretrain has it
    precision = ordered.cumsum(0) / torch.arange(1, len(ordered) + 1)
    return float((precision * ordered).sum() / ordered.sum())


def batch_of(config):
    init_default_scope(config.default_scope)
    return next(iter(Runner.build_dataloader(config.train_dataloader, seed=0)))


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('head', CLASSIFIERS)
def test_it_learns_all_of_it_and_predicts(head, name, config_of):
    options = {
        'train_dataloader.dataset.pipeline': '${augment_pipeline}',
        'batch_augments': '${mixup_cutmix}',
        'erase_prob': 1.0,
    }
    if head != 'multilabel':
        options['label_smoothing'] = 0.1
    config = config_of(head, name, **options)
    batch = batch_of(config)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model.train()
    np.random.seed(0)  # some mixtures leave all as it is
    torch.manual_seed(1)
    data = model.data_preprocessor(batch, True)
    shares = torch.stack([sample.gt_score for sample in data['data_samples']])
    assert (shares.frac() > 0).any()  # mixed
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    assert loss.isfinite() and loss > 0
    loss.backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]

    model.eval()
    sample = DATASETS.build(config.val_dataloader.dataset)[0]
    with torch.no_grad():
        (result,) = model.test_step({key: [value] for key, value in sample.items()})
    assert result.pred_score.shape == (6,)
    single = head != 'multilabel'
    assert not single or result.pred_score.sum().item() == pytest.approx(1)


def test_depth_width_and_dropout(config_of):
    options = {'hidden_channels': [32, 16], 'dropout': 0.25}
    head = MODELS.build(config_of('mlp', 'resnet18', **options).model).head
    widths = [(m.in_features, m.out_features) for m in head.modules() if hasattr(m, 'in_features')]
    assert widths == [(48, 32), (32, 16), (16, 6)]
    assert [m.p for m in head.modules() if isinstance(m, torch.nn.Dropout)] == [0.25, 0.25]


def test_the_generalised_mean_is_the_formula(config_of):
    config = config_of('gem', 'resnet18')
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (pooled,) = model.extract_feat(images)
        (last,) = model.backbone(images)
        expected = last.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    torch.testing.assert_close(pooled, expected)


@pytest.mark.parametrize(
    ('pool', 'expected'),
    [('token', lambda x: x[:, 0]), ('avg', lambda x: x[:, 1:].mean(1)),
     ('max', lambda x: x[:, 1:].amax(1))],
)  # fmt: skip
def test_pooling_by_one_option(pool, expected, config_of):
    kwargs = {**BACKBONES['vit_tiny_patch16_224'], 'global_pool': pool}
    options = {'model.backbone.model_kwargs': kwargs}
    model = MODELS.build(config_of('linear', 'vit_tiny_patch16_224', **options).model).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (pooled,) = model.extract_feat(images)
        tokens = model.backbone.model.forward_features(images)
        wanted = model.backbone.model.fc_norm(expected(tokens))
    torch.testing.assert_close(pooled, wanted)


def test_augmented_images_differ_where_the_plain_ones_do_not(config_of):
    """RandAugment and erasing take part: noise of all values in a corner of a plain image."""
    from vitmm.registry import TRANSFORMS

    config = config_of('linear', 'resnet18', erase_prob=1.0, rand_magnitude=5)
    init_default_scope(config.default_scope)
    steps = [step for step in config.augment_pipeline if step.type == 'vitmm.ForRGB']
    assert [s.transform.type for s in steps] == [
        'mmpretrain.RandAugment',
        'mmpretrain.RandomErasing',
    ]
    image = torch.full((64, 64, 3), 90, dtype=torch.uint8).numpy()
    erased = TRANSFORMS.build(steps[1]).transform({'img': image.copy()})['img']
    share = (erased != 90).any(2).mean()
    assert 0.01 < share < 0.4
