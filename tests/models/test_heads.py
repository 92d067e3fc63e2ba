"""Every head's base, behind backbones of every kind: it learns, all of it, and predicts."""

from functools import cache

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner
from support import CLASSIFIERS, CONFIGS, RECIPES

from vitmm.config import load_config, resolve

BASES = CONFIGS / '_base_'
# Of other tasks, with tests of their own: test_cls_heads, test_mae, test_depth, test_published.
ELSEWHERE = (*CLASSIFIERS, 'depth', 'dpt_depth', 'mae', 'mixed_linear')
HEADS = sorted(p.stem for p in (BASES / 'models').glob('*.py') if p.stem not in ELSEWHERE)
# Small ones of every kind: plain, with patches of 14, windowed, convolutional.
BACKBONES = {
    'vit_tiny_patch16_224': dict(depth=4, embed_dim=48, num_heads=3),
    'vit_small_patch14_dinov2': dict(depth=4, embed_dim=48, num_heads=3),
    'swin_tiny_patch4_window7_224': dict(embed_dim=24, depths=(1, 1, 1, 1), num_heads=(1, 2, 3, 6)),
    'convnext_atto': dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 48)),
    'resnet18': dict(layers=(1, 1, 1, 1), channels=(16, 24, 32, 48)),
}
STARTERS = [recipe for recipe in RECIPES if recipe.parent.name in ('det', 'seg')]
# What the bases call their widths and lengths; each test takes those that its base has.
NARROW = {
    'fpn_channels': 32,
    'fc_channels': 32,
    'head_channels': 48,
    'level_channels': [8, 16, 24, 32],
    'embed_dims': 32,
    'position_dims': 16,
    'ffn_channels': 32,
    'pixel_ffn_channels': 32,
    'query_ffn_channels': 32,
    'num_heads': 2,
    'num_layers': 2,
    'pixel_layers': 1,
    'query_layers': 2,
    'num_points': 256,
    'num_queries': 20,
    'max_per_img': 20,
}


# Each head meets a plain ViT and one other; all of them take some minutes.
PAIRS = [
    pytest.param(head, name, marks=[] if quick else pytest.mark.slow)
    for number, head in enumerate(HEADS)
    for place, name in enumerate(BACKBONES)
    for quick in [place in (0, 1 + number % (len(BACKBONES) - 1))]
]


def task_of(head):
    kind = load_config(BASES / 'models' / f'{head}.py').model.type
    return 'det' if kind.startswith('mmdet') else 'seg'


@cache
def write_recipe(head, folder):
    task = task_of(head)
    recipe = folder / f'{head}.py'
    parts = [
        f'models/{head}.py',
        f'datasets/{task}/shapes.py',
        'schedules/adamw.py',
        f'runtime/{task}.py',
    ]
    recipe.write_text(f'_base_ = {[str(BASES / part) for part in parts]}\n')
    return recipe


@pytest.fixture(scope='module')
def recipes(tmp_path_factory):
    return tmp_path_factory.mktemp('recipes')


def narrow(head, recipes, name, tiny_options):
    """The config of a head, small, behind a small backbone of this name."""
    recipe = write_recipe(head, recipes)
    plain = load_config(recipe)
    options = {
        **tiny_options,
        **{key: value for key, value in NARROW.items() if key in plain},
        'image_scale': (96, 96),
        'crop_size': (96, 96),
        'train_dataloader.batch_size': 2,
        'val_dataloader.batch_size': 1,
        'model.backbone.model_name': name,
        'model.backbone.model_kwargs': BACKBONES[name],
    }
    if head == 'dino':  # mmdet's decoder presumes the paper's width
        options |= {'embed_dims': 256, 'position_dims': 128}
    return resolve(load_config(recipe, options=options))


def check_steps(config):
    """One step of training, in which every parameter takes part, and one prediction."""
    init_default_scope(config.default_scope)
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)
    hub.update_info('epoch', 0)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()

    model.train()
    batch = next(iter(Runner.build_dataloader(config.train_dataloader, seed=0)))
    loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
    assert loss.isfinite() and loss > 0
    loss.backward()
    # Or DDP would wait for what does not come (find_unused_parameters is off).
    learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert not [n for n, p in learning.items() if p.grad is None]
    assert all(p.grad.isfinite().all() for p in learning.values())

    model.eval()
    sample = DATASETS.build(config.val_dataloader.dataset)[0]
    with torch.no_grad():
        (result,) = model.test_step({key: [value] for key, value in sample.items()})
    height, width = result.ori_shape
    if config.default_scope == 'mmseg':
        assert result.seg_logits.data.shape == (config.model.decode_head.num_classes, height, width)
        assert result.seg_logits.data.isfinite().all()
        return
    found = result.pred_instances
    assert found.bboxes.isfinite().all() and (found.labels < 6).all()
    if config.model.data_preprocessor.pad_mask:
        assert found.masks.shape == (len(found.bboxes), height, width)


@pytest.mark.parametrize(('head', 'name'), PAIRS)
def test_it_learns_all_of_it_and_predicts(head, name, recipes, tiny_options):
    check_steps(narrow(head, recipes, name, tiny_options))


@pytest.mark.parametrize('recipe', STARTERS, ids=lambda p: f'{p.parent.name}-{p.stem}')
def test_so_does_every_recipe(recipe, tiny_options):
    options = {
        **tiny_options,
        'train_dataloader.batch_size': 2,
        'image_scale': (128, 128),
        'crop_size': (128, 128),
        'model.backbone.pretrained': False,  # weights and photographs come from elsewhere
    }
    if recipe.stem.startswith('trees'):
        options |= {'train_images': 'JPEGImages/', 'val_images': 'JPEGImages/'}
    check_steps(resolve(load_config(recipe, options=options)))
