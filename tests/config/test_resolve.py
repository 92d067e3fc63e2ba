import json
import re

import pytest
import timm
import torch
from mmengine.config import Config
from support import CONFIGS, RECIPES, ROOT, fitting

from vitmm.apis.cli import parse_options
from vitmm.config import load_config, resolve
from vitmm.config.load import _bases
from vitmm.errors import BackboneError, ConfigError, VitmmError
from vitmm.registry import MODELS

DET = CONFIGS / 'det' / 'vit_retinanet.py'


@pytest.mark.parametrize('recipe', RECIPES, ids=lambda p: p.stem)
def test_every_recipe_resolves_and_builds(recipe, tiny_options):
    from mmengine.registry import MODELS, init_default_scope

    config = resolve(load_config(recipe, options=fitting(tiny_options, recipe)))
    assert '${' not in config.pretty_text
    init_default_scope(config.default_scope)
    try:
        with torch.device('meta'):
            model = MODELS.build(config.model)
    except RuntimeError:  # mmseg's Segmenter computes while it is built
        model = MODELS.build(config.model)
    assert model.backbone is not None


def test_another_packages_collate_function_gets_no_scope(tmp_path):
    """MMEngine marks it with one, and hands that to the function in the first batch."""
    recipe = tmp_path / 'moco.py'
    recipe.write_text("_base_ = 'mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py'\n")
    config = load_config(recipe)
    assert config.train_dataloader.collate_fn.pop('_scope_') == 'mmpretrain'
    resolved = resolve(load_config(recipe), {'data': {}})
    assert resolved.train_dataloader.collate_fn == config.train_dataloader.collate_fn


def test_no_two_recipes_resolve_to_the_same(tiny_options):
    seen = {}
    for recipe in RECIPES:
        plain = resolve(load_config(recipe, options=fitting(tiny_options, recipe))).to_dict()
        text = json.dumps(plain, sort_keys=True, default=str)
        assert text not in seen, f'{recipe} is {seen.get(text)}'
        seen[text] = recipe
    # A run's folder is called after the file.
    assert len({recipe.stem for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize('name', ['resnet18', 'convnext_atto', 'vit_small_patch14_dinov2'])
def test_a_backbone_swap_is_one_line(name, tiny_options):
    options = {**tiny_options, 'model.backbone.model_name': name}
    config = resolve(load_config(DET, options=options))
    own = timm.get_pretrained_cfg(name)
    assert config.model.data_preprocessor.mean == [pytest.approx(255 * m) for m in own.mean]
    assert config.model.data_preprocessor.std == [pytest.approx(255 * s) for s in own.std]
    channels = config.model.neck[0].in_channels
    assert config.model.neck[1].in_channels == channels
    assert len(channels) == 3


def test_classes_follow_the_data(tmp_path, tiny_shapes):
    root = tmp_path / 'mine'
    root.mkdir()
    annotations = json.loads((tiny_shapes / 'coco/instances_train.json').read_text())
    annotations['categories'] = [{'id': i + 1, 'name': f'thing{i}'} for i in range(9)]
    (root / 'train.json').write_text(json.dumps(annotations))
    options = {
        'data_root': str(root),
        'train_ann': 'train.json',
        'val_ann': 'train.json',
        'train_images': str(tiny_shapes / 'JPEGImages') + '/',
    }
    config = resolve(load_config(DET, data='coco', options=options))
    assert config.model.bbox_head.num_classes == 9
    assert next(iter(config.train_dataloader.dataset.metainfo.classes)) == 'thing0'
    assert config.val_evaluator.ann_file == f'{root}/train.json'


def test_masks_are_loaded_for_the_heads_that_want_them(tmp_path, tiny_options):
    for head, wanted in (('faster_rcnn', False), ('mask_rcnn', True), ('mask2former', True)):
        bases = [f'models/{head}', 'datasets/det/shapes', 'schedules/adamw', 'runtime/det']
        recipe = tmp_path / f'{head}.py'
        recipe.write_text(f'_base_ = {[str(CONFIGS / "_base_" / b) + ".py" for b in bases]}')
        options = {**tiny_options, 'model.backbone.model_name': 'resnet18'}
        config = resolve(load_config(recipe, options=options))
        for pipeline in (config.train_pipeline, config.test_pipeline, config.jitter_pipeline):
            (step,) = (step for step in pipeline if step.type == 'mmdet.LoadAnnotations')
            assert step.with_mask is wanted
    weights = config.model.panoptic_head.loss_cls.class_weight
    assert weights == [1.0] * config.model.panoptic_head.num_things_classes + [0.1]


def test_a_backbone_of_ones_own_that_computes_while_it_is_built(tiny_options, monkeypatch):
    class Own(torch.nn.Module):
        mean, std, strides = (0, 0, 0), (1, 1, 1), (8, 16, 32)

        def __init__(self):
            super().__init__()
            self.channels = [int(c.item()) for c in torch.tensor([4, 8, 16])]  # not on meta

    monkeypatch.setitem(MODELS.module_dict, 'Own', Own)
    options = {**tiny_options, 'model.backbone': dict(_delete_=True, type='vitmm.Own')}
    config = resolve(load_config(DET, options=options))
    assert config.model.neck[0].in_channels == [4, 8, 16]


def test_a_stock_backbone_says_nothing_of_itself(tiny_options):
    options = {
        **tiny_options,
        'model.backbone': dict(_delete_=True, type='mmdet.SwinTransformer'),
    }
    with pytest.raises(ConfigError, match=r'mmdet\.SwinTransformer does not describe itself'):
        resolve(load_config(DET, options=options))


def test_one_length_of_training(tiny_options):
    config = resolve(load_config(DET, options={**tiny_options, 'train_cfg.max_epochs': 7}))
    assert config.param_scheduler[1].T_max == config.param_scheduler[1].end == 7


def test_what_is_resolved_is_plain_python_and_stays_as_it_is(tmp_path, tiny_options):
    config = resolve(load_config(DET, options=tiny_options))
    config.dump(tmp_path / 'dumped.py')
    again = resolve(Config.fromfile(tmp_path / 'dumped.py'))
    assert again.to_dict() == Config.fromfile(tmp_path / 'dumped.py').to_dict()
    assert again.model == config.model


@pytest.mark.parametrize(
    ('options', 'error', 'words'),
    [
        ({'model.backbone.model_name': 'resnet81'}, BackboneError, 'Did you mean resnet18'),
        ({'model.backbone.model_name': 'resnet18.nope'}, BackboneError, 'a1_in1k'),
        ({'model.backbone.embed_dims': 3}, VitmmError, 'embed_dims'),
        ({'model.backbone.model_kwargs': {'nope': 3}}, BackboneError, 'nope'),
        ({'model.backbone.out_indices': [9, 99]}, BackboneError, 'ascending indices from 0'),
        ({'model.bbox_head.num_classes': '${data.nm_classes}'}, ConfigError, 'num_classes'),
        ({'model.bbox_head.num_classes': '${num_classes}'}, ConfigError, 'bbox_head.num_classes'),
        ({'fpn_channels': '${fpn_channels}'}, ConfigError, 'circle'),
        ({'fpn_channels': '${backbone.channels[0]'}, ConfigError, 'not closed'),
    ],
)
def test_bad_input(options, error, words, tiny_options):
    with pytest.raises(error, match=words):
        resolve(load_config(DET, options={**tiny_options, **options}))


def test_every_head_of_the_readme_has_a_starter():
    def inside(path):
        for base in _bases(path)[2]:
            file = (path.parent / base).resolve()
            yield from (file, *inside(file))

    table = (ROOT / 'README.md').read_text().partition('\n## Heads\n')[2].partition('\n\nAll ')[0]
    heads = set(re.findall(r'`(\w+)`', table))
    assert {'cascade_mask_rcnn', 'unet', 'gem', 'depth', 'mae'} <= heads
    assert heads <= {file.stem for recipe in RECIPES for file in inside(recipe)}


def test_own_data_given_to_a_recipe_that_draws_its_own(tmp_path):
    (tmp_path / 'mine.jpg').touch()
    config = load_config(CONFIGS / 'det' / 'vit_retinanet.py', options={'data_root': str(tmp_path)})
    with pytest.raises(VitmmError, match=r'is not empty .*--data coco or voc'):
        resolve(config)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.jpg']


def test_a_setting_that_the_embedded_data_set_has_not(tmp_path):
    options = {'data_root': str(tmp_path / 'rooms'), 'prepare_data.num_val': 4}
    config = load_config(CONFIGS / 'depth' / 'vit_depth.py', options=options)
    with pytest.raises(ConfigError, match=r"prepare_data \(vitmm\.write_rooms\): .*'num_val'"):
        resolve(config)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('recipe', ['seg/vit_fcn.py', 'cls/resnet_multilabel.py'])
def test_a_set_of_other_numbers_is_taken_as_the_message_says(recipe, tiny_shapes):
    options = {'data_root': str(tiny_shapes), 'model.backbone.model_name': 'test_resnet'}
    with pytest.raises(VitmmError, match='holds another set') as caught:
        resolve(load_config(CONFIGS / recipe, options=options))
    said = str(caught.value).partition('--cfg-options ')[2].split()
    assert 'prepare_data.num_train=12' in said
    resolve(load_config(CONFIGS / recipe, options={**options, **parse_options(said)}))
