"""Faults are planted in recipes, one in each: it is found in its line, and nothing else is."""

import json
import re

import pytest
from support import CONFIGS, PUBLISHED, RECIPES, fork_tool

from vitmm.apis.check_config import check_config
from vitmm.errors import VitmmError

BASE = CONFIGS / '_base_'
DET = "_base_ = ['{configs}/det/vit_retinanet.py']\ndata_root = '{data}'\nprepare_data = None\n"
SEG = "_base_ = ['{configs}/seg/convnext_fcn.py']\n"
ITERATIONS = "_base_ = ['{configs}/seg/swin/upernet_swin-tiny-p4-w7_8xb2-160k_ade20k-512x512.py']\n"
JITTERED = "_base_ = ['{configs}/det/vit/retinanet_vit-base-p16-mae_fpn_8xb8-lsj-36e_coco.py']\n"
STOCK = "_base_ = ['mmdet::retinanet/retinanet_r50_fpn_1x_coco.py']\n"  # for 8 processes of 2

# The kind of the fault, a recipe whose line "# <-" has it, and what the finding says.
FAULTS = {
    'a key at the top': ('keys', DET + 'train_cgf = dict(max_epochs=2)  # <-', 'train_cfg'),
    'a key of an old version': ('keys', DET + 'fp16 = dict(loss_scale=512.0)  # <-', 'fp16'),
    'a key of a class': (
        'keys',
        DET
        + """
model = dict(
    bbox_head=dict(
        anchor_generator=dict(
            octave_base_scal=8,  # <-
        ),
    ),
)""",
        'octave_base_scale',
    ),
    'a key that nobody refuses': (
        'keys',
        DET + 'model = dict(\n    test_cfg=dict(\n        score_thresh=0.3,  # <-\n    ),\n)',
        'score_thr',
    ),
    'a key of the data loader': (
        'keys',
        DET + 'train_dataloader = dict(\n    num_worker=2,  # <-\n)',
        'num_workers',
    ),
    'a key that the base has read before': (
        'keys',
        STOCK + "data_root = '/data/coco/'  # <-",
        'coco_detection.py has read its own',
    ),
    'a hook of no registry': (
        'types',
        DET + "custom_hooks = [\n    dict(type='EarlyStopingHook', monitor='a'),  # <-\n]",
        "no hook is called 'EarlyStopingHook': did you mean EarlyStoppingHook",
    ),
    'a head of no registry, which alone would read what is in train_cfg': (
        'types',
        DET + "model = dict(\n    bbox_head=dict(\n        type='RetinaHeadd',  # <-\n    ),\n)",
        "no registry knows 'RetinaHeadd': did you mean RetinaHead",
    ),
    'a sampler without end in a training of epochs': (
        'schedule',
        DET
        + """
train_dataloader = dict(
    sampler=dict(
        type='InfiniteSampler',  # <-
    ),
)""",
        'never ends',
    ),
    'a data loader that torch refuses': (
        'loader',
        DET
        + """
train_dataloader = dict(
    num_workers=0,  # <-
    persistent_workers=True,
)""",
        'persistent_workers option needs num_workers > 0',
    ),
    'an end that mmdet leaves to the batches': (
        'loader',
        DET + 'train_dataloader = dict(\n    drop_last=True,  # <-\n)',
        'set train_dataloader.batch_sampler.drop_last',
    ),
    'batches larger than the data': (
        'schedule',
        DET + 'train_dataloader = dict(\n    batch_sampler=dict(drop_last=True),\n'
        '    batch_size=500,  # <- check_config: allow rate\n)',
        'drop_last leaves no batch: 400 images for 1 times 500',
    ),
    'a transform that cannot be built': (
        'pipeline',
        DET
        + """train_pipeline = [
    '${{load_image}}',
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(type='mmdet.RandomFlip', prob=1.5),  # <-
    dict(type='mmdet.PackDetInputs'),
]""",
        'RandomFlip cannot be built: assert 0 <= prob <= 1, ',
    ),
    'an optimiser of no registry': (
        'types',
        DET + "optim_wrapper = dict(\n    optimizer=dict(type='AdamWw'),  # <-\n)",
        'AdamW',
    ),
    'an evaluator of no registry': (
        'types',
        DET + "val_evaluator = dict(\n    type='vitmm.CocoMetrik',  # <-\n)",
        'vitmm.CocoMetric',
    ),
    'an evaluator of the test set of no registry': (
        'types',
        DET + "test_evaluator = dict(\n    _delete_=True,\n    type='vitmm.CocoMetrik',  # <-\n)",
        'vitmm.CocoMetric',
    ),
    'a transform of no registry': (
        'types',
        DET + "train_pipeline = [\n    '${{load_image}}',\n    dict(type='RandomFlp'),  # <-\n"
        "    dict(type='mmdet.PackDetInputs'),\n]",
        'RandomFlip',
    ),
    'a data set of no registry': (
        'types',
        DET + 'train_dataloader = dict(\n    dataset=dict(\n'
        "        type='mmdet.CocoDatset',  # <-\n    ),\n)",
        'did you mean CocoDataset',
    ),
    'a backend of no registry': (
        'types',
        DET + 'visualizer = dict(\n    vis_backends=[\n'
        "        dict(type='LocalVisBackendd'),  # <-\n    ],\n)",
        'LocalVisBackend',
    ),
    'a schedule of no registry': (
        'types',
        DET + "param_scheduler = [\n    dict(type='CosineAnealingLR', T_max=4),  # <-\n]",
        'CosineAnnealingLR',
    ),
    'a loss of no registry': (
        'types',
        DET + "model = dict(bbox_head=dict(\n    loss_cls=dict(type='FocalLos'),  # <-\n))",
        'FocalLoss',
    ),
    'small images for a large scale': (
        'sizes',
        DET + 'image_scale = (1333, 800)  # <-',
        '200 x 160 pixels, and are enlarged x 5.0 to fit 1333 x 800: --cfg-options '
        'image_scale=200,160 leaves',
    ),
    'a schedule that ends before': (
        'schedule',
        DET
        + """train_cfg = dict(max_epochs=9)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=4,  # <-
    ),
]""",
        'ends at 4, before the training of 9 epochs',
    ),
    'a schedule that ends after': (
        'schedule',
        STOCK + 'train_cfg = dict(max_epochs=9)\nparam_scheduler = [\n'
        "    dict(type='MultiStepLR', milestones=[8, 11], gamma=0.1),  # <-\n]",
        '(11) behind the end',
    ),
    'a warm-up longer than the training': (
        'schedule',
        DET + 'param_scheduler = [\n'
        "    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4001),  # <-\n]",
        'ends at 4001, after the training of 400 iterations',  # 4 epochs of 400 images by 4
    ),
    'epochs in a training by iterations': (
        'schedule',
        ITERATIONS
        + "param_scheduler = [\n    dict(type='PolyLR', power=1.0, end=160000),  # <-\n]",
        'by_epoch=False',
    ),
    'a validation that never comes': (
        'schedule',
        DET + 'train_cfg = dict(\n    max_epochs=4,\n    val_interval=5,  # <-\n)',
        'never comes',
    ),
    'a rate for other batches': (
        'rate',
        ITERATIONS + 'train_dataloader = dict(\n    batch_size=4,  # <-\n)',
        'for batches of 16 images, not of 4 x 8 processes',
    ),
    'a rate that was set for other batches': (
        'rate',
        DET + 'train_dataloader = dict(\n    batch_size=16,  # <-\n)',
        'was set for batches of 4 images, not of 16',
    ),
    'a pipeline that no data loader gets': (
        'pipeline',
        JITTERED + "train_pipeline = [dict(type='LoadImageFromFile')]  # <-",
        'train_dataloader.dataset.pipeline',
    ),
    'a pipeline after the data loader': (
        'pipeline',
        STOCK + "test_pipeline = [dict(type='LoadImageFromFile')]  # <-",
        'does not reach test_dataloader',
    ),
    'statistics of other weights': (
        'pixels',
        SEG
        + """model = dict(
    data_preprocessor=dict(
        mean=[103.53, 116.28, 123.675],  # <-
    ),
    backbone=dict(pretrained=True),
)""",
        'the wrong way round',
    ),
    'channels in the wrong order': (
        'pixels',
        SEG + 'model = dict(\n    data_preprocessor=dict(bgr_to_rgb=False),  # <-\n'
        '    backbone=dict(pretrained=True),\n)',
        'BGR',
    ),
    'images normalised twice': (
        'pixels',
        DET
        + """train_pipeline = [
    '${{load_image}}',
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(type='Normalize', mean=[0, 0, 0], std=[255, 255, 255]),  # <-
    dict(type='mmdet.PackDetInputs'),
]""",
        'twice',
    ),
    'a head of other classes': (
        'classes',
        DET + 'model = dict(\n    bbox_head=dict(\n        num_classes=80,  # <-\n    ),\n)',
        'has 80 classes, and the data 6',
    ),
    'data sets of other classes': (
        'classes',
        DET + 'val_dataloader = dict(\n    dataset=dict(\n'
        "        metainfo=dict(classes=('1', '0', '2', '3', '4', '5')),  # <-\n    ),\n)",
        'the same order',
    ),
    'a metric of no evaluator': (
        'metrics',
        DET + 'default_hooks = dict(\n    checkpoint=dict(\n'
        "        save_best='bbox_mAP',  # <-\n    ),\n)",
        'coco/bbox_mAP',
    ),
    'a misspelt metric': (
        'metrics',
        DET + 'default_hooks = dict(\n    checkpoint=dict(\n'
        "        save_best='coco/bbox_map',  # <-\n    ),\n)",
        "'coco/bbox_map' is no metric of val_evaluator: did you mean coco/bbox_mAP",
    ),
    'a metric that nothing hears': (
        'metrics',
        SEG + "custom_hooks = [\n    dict(type='EarlyStoppingHook', monitor='mIou'),  # <-\n]",
        'mIoU',
    ),
    'masks of a detector without': (
        'metrics',
        DET + "val_evaluator = dict(\n    metric='segm',  # <-\n)",
        'predicts no masks',
    ),
    'a level of no logging': ('keys', DET + "log_level = 'INFOO'  # <-", 'INFO?'),
    'other annotations': (
        'metrics',
        DET + "val_evaluator = dict(\n    ann_file='{data}/coco/other.json',  # <-\n)",
        'instances_val.json',
    ),
    'two sources of weights': (
        'weights',
        SEG + "load_from = 'a.pth'  # <-\nmodel = dict(backbone=dict(pretrained=True))",
        'pretrained',
    ),
    'no gradient': (
        'parameters',
        SEG + 'model = dict(\n    decode_head=dict(input_transform=None, in_index=0,'
        " in_channels='${{backbone.channels[0]}}'),\n"
        "    backbone=dict(out_norm='layer'),  # <-\n)",
        'no gradient reaches backbone',
    ),
    'no learning': (
        'parameters',
        SEG + 'model = dict(  # <-\n    decode_head=dict(\n'
        "        _delete_=True, type='Frozen', channels='${{head_channels}}'\n    ),\n"
        "    backbone=dict(frozen_groups='all'),\n)",
        'no parameter learns',
    ),
    'a head that its own code freezes': (
        'parameters',
        SEG + "model = dict(\n    decode_head=dict(type='HalfFrozen'),  # <-\n)",
        'decode_head.conv_seg.weight and 1 others of HalfFrozen have requires_grad=False',
    ),
    'no group of the optimiser': (
        'parameters',
        SEG + "optim_wrapper = dict(\n    constructor='OnlyHeads',  # <-\n)",
        'holds backbone.model.stem.0.weight',
    ),
    'a name of no parameter': (
        'parameters',
        SEG + 'optim_wrapper = dict(\n    paramwise_cfg=dict(\n        custom_keys={{\n'
        "            'backbone.stages.0': dict(lr_mult=0.1),  # <-\n        }},\n    ),\n)",
        "part of no parameter's name",
    ),
    'anchors of other strides': (
        'parameters',
        DET + 'model = dict(\n    bbox_head=dict(\n        anchor_generator=dict(\n'
        '            strides=[4, 8, 16],  # <-\n        ),\n    ),\n)',
        'and gets [8, 16, 32, 64, 128]',
    ),
}


@pytest.fixture(scope='module', autouse=True)
def modules():
    """A constructor that leaves parameters out, and a head that has none."""
    from mmengine.optim import DefaultOptimWrapperConstructor
    from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
    from mmseg.models.decode_heads import FCNHead
    from torch import nn

    class OnlyHeads(DefaultOptimWrapperConstructor):
        def __call__(self, model):
            return super().__call__(model.decode_head)

    class Frozen(nn.Module):
        out_channels, num_classes, align_corners = 6, 6, False

        def __init__(self, channels):
            super().__init__()

    class HalfFrozen(FCNHead):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.conv_seg.requires_grad_(False)

    class HalfUsed(FCNHead):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.forgotten = nn.Linear(2, 3)

    OPTIM_WRAPPER_CONSTRUCTORS.register_module(module=OnlyHeads)
    for module in (Frozen, HalfFrozen, HalfUsed):
        MODELS.register_module(module=module)
    yield
    del OPTIM_WRAPPER_CONSTRUCTORS.module_dict['OnlyHeads']
    for module in (Frozen, HalfFrozen, HalfUsed):
        del MODELS.module_dict[module.__name__]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A data root with the names of 400 images and of 6 classes, without any image."""
    root = tmp_path_factory.mktemp('names')
    (root / 'coco').mkdir()
    content = dict(
        images=[dict(id=n, file_name=f'{n}.jpg', width=200, height=160) for n in range(400)],
        annotations=[],
        categories=[dict(id=n, name=str(n)) for n in range(6)],
    )
    for split in ('train', 'val'):
        (root / f'coco/instances_{split}.json').write_text(json.dumps(content))
    return root


def plant(text, folder, data):
    recipe = folder / 'planted.py'
    recipe.write_text(text.format(configs=CONFIGS, data=data) + '\n')
    lines = recipe.read_text().splitlines()
    return recipe, next((n for n, line in enumerate(lines, 1) if '# <-' in line), None)


def processes_for(text):
    return None if text.startswith((DET, SEG)) else 8


@pytest.mark.parametrize('name', FAULTS)
def test_a_planted_fault_is_found(name, tmp_path, data):
    kind, text, said = FAULTS[name]
    recipe, line = plant(text, tmp_path, data)
    (found,) = check_config(recipe, processes=processes_for(text))
    assert (found.kind, found.file, found.line) == (kind, str(recipe), line)
    assert said in str(found)
    assert str(found).startswith(f'{recipe}:{line}: ') and found.remedy


@pytest.mark.parametrize('text', [DET, SEG, ITERATIONS, JITTERED, STOCK])
def test_without_a_fault_nothing_is_found(text, tmp_path, data):
    recipe, _ = plant(text, tmp_path, data)
    assert not check_config(recipe, processes=processes_for(text))


def test_class_folders_of_one_split(tmp_path):
    for name in ('train/a', 'train/b', 'val/a', 'val/b', 'val/c'):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / '1.jpg').touch()
    settings = CONFIGS / 'cls/vit_linear.py', 'imagefolder', {'data_root': str(tmp_path)}
    (found,) = (one for one in check_config(*settings) if one.kind == 'classes')
    assert "class folders have 'c', and the classes" in str(found)
    (tmp_path / 'train/c').mkdir()
    assert all(one.kind != 'classes' for one in check_config(*settings))


# A published recipe that is another one on a larger backbone has nothing else of its own.
ALL = RECIPES + [
    pytest.param(path, marks=[] if '/_base_/' in path.read_text() else pytest.mark.slow)
    for path in PUBLISHED
]


@pytest.mark.parametrize('recipe', ALL, ids=lambda p: f'{p.parent.name}-{p.stem}')
def test_our_recipes_are_clean(recipe):
    assert [str(found) for found in check_config(recipe)] == []


def test_what_is_meant_is_left_out(tmp_path, data):
    text = DET + 'train_dataloader = dict(\n    batch_size=16,  # <-\n)\nload_form = None'
    recipe, _ = plant(text, tmp_path, data)
    assert [found.kind for found in check_config(recipe)] == ['rate', 'keys']
    said = recipe.read_text()
    recipe.write_text(said.replace('# <-', '# a probe; check_config: allow rate'))
    assert [found.kind for found in check_config(recipe)] == ['keys']
    recipe.write_text(said.replace('# <-', '# check_config: allow schedule'))
    assert [found.kind for found in check_config(recipe)] == ['rate', 'keys']


def test_yaml_has_lines_too(tmp_path, data):
    recipe = tmp_path / 'planted.yaml'
    recipe.write_text(
        f'_base_: {CONFIGS}/det/vit_retinanet.py\n'
        f'data_root: {data}\n'
        'prepare_data: null\n'
        'model:\n'
        '  bbox_head:\n'
        '    num_classes: 80\n'
    )
    (found,) = check_config(recipe)
    assert (found.kind, found.file, found.line) == ('classes', str(recipe), 6)


def test_options_and_data_are_followed(tmp_path, data):
    """What the command line says has no line; a base of the other data set has."""
    options = {'data_root': str(data), 'prepare_data': None, 'train_cfg.max_epoch': 3}
    (found,) = check_config(CONFIGS / 'det/vit_retinanet.py', options=options)
    assert (found.file, found.line) == ('--cfg-options', None)
    assert str(found).startswith("--cfg-options: nothing reads 'max_epoch'")
    other = tmp_path / 'datasets' / 'mine.py'
    other.parent.mkdir()
    other.write_text(
        f"_base_ = '{BASE}/datasets/det/shapes.py'\n"
        f"data_root = '{data}'\nprepare_data = None\n"
        'train_dataloader = dict(\n    batch_sise=2,\n)\n'
    )
    (found,) = check_config(CONFIGS / 'det/vit_retinanet.py', str(other))
    assert (found.file, found.line, found.kind) == (str(other), 5, 'keys')


# Faults that hide the model: a recipe whose lines "# <-" have them, and what is said of each.
UNRESOLVED = {
    'a backbone that timm lacks': (
        DET
        + """
model = dict(
    backbone=dict(
        model_name='vit_tny',  # <-
    ),
    bbox_head=dict(
        num_classes=80,  # <-
    ),
)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=3),  # <-
]""",
        [
            'resolve: .*does not resolve: .*vit_tiny',
            'classes: .*80 classes',
            'schedule: .*ends at 3',
        ],
    ),
    'a key that the backbone does not read': (
        DET
        + """
model = dict(
    backbone=dict(
        model_nam='vit_tiny',  # <-
    ),
    bbox_head=dict(
        num_classes=80,  # <-
    ),
)""",
        ['keys: .*model_name', 'classes: .*80 classes'],
    ),
    'a hole without a name': (
        DET + "train_dataloader = dict(\n    batch_size='${{batch}}',  # <-\n)",
        ["resolve: .*nothing is called 'batch'"],
    ),
}


@pytest.mark.parametrize('name', UNRESOLVED)
def test_what_hides_the_model_hides_nothing_else(name, tmp_path, data):
    """Each fault is found where it was said last, and what was not looked at is told."""
    text, patterns = UNRESOLVED[name]
    recipe, _ = plant(text, tmp_path, data)
    lines = [n for n, line in enumerate(recipe.read_text().splitlines(), 1) if '# <-' in line]
    found = check_config(recipe)
    assert [(one.file, one.line) for one in found] == [(str(recipe), line) for line in lines]
    for one, pattern in zip(found, patterns, strict=True):
        assert re.match(pattern, f'{one.kind}: {one}')
        assert 'see the message' not in str(one)
    (left_out,) = found.left_out
    assert 'parameters' in left_out and 'does not resolve' in left_out


def test_without_the_data_it_says_what_was_left_out(tmp_path, data):
    recipe, _ = plant(DET, tmp_path, tmp_path / 'nowhere')
    (left_out,) = check_config(recipe).left_out
    assert left_out.startswith('classes, ') and 'the data is not there' in left_out


def test_a_model_that_cannot_be_built_says_what_was_left_out(tmp_path, data):
    text = DET + 'model = dict(\n    bbox_head=dict(\n        feat_chanels=8,  # <-\n    ),\n)'
    recipe, line = plant(text, tmp_path, data)
    found = check_config(recipe)
    assert [(one.kind, one.line) for one in found] == [('keys', line)]
    (left_out,) = found.left_out
    assert 'parameters' in left_out and 'unexpected keyword' in left_out


def test_what_is_said_later_is_blamed(tmp_path, data):
    """What a hole points at, a type over the keys of another, the batch that a rate is for."""
    for text, said in (
        (ITERATIONS + 'train_cfg = dict(_delete_=True, max_epochs=9)  # <-', "has no 'max_iters'"),
        (DET + 'train_cfg = dict(_delete_=True, by_epoch=False)  # <-', 'and needs max_iters'),
    ):
        recipe, line = plant(text, tmp_path, data)
        (found,) = [one for one in check_config(recipe) if one.kind == 'resolve']
        assert (found.file, found.line) == (str(recipe), line)
        assert said in str(found)
    text = DET + "train_cfg = dict(\n    type='IterBasedTrainLoop',  # <-\n    max_iters=9,\n)"
    recipe, line = plant(text, tmp_path, data)
    (found,) = [one for one in check_config(recipe) if one.kind == 'keys']
    assert (found.file, found.line) == (str(recipe), line)
    assert "reads 'max_epochs'" in found.what and '_delete_=True' in found.remedy
    text = ITERATIONS + 'auto_scale_lr = dict(\n    base_batch_size=64,  # <-\n)'
    recipe, line = plant(text, tmp_path, data)
    (found,) = check_config(recipe, processes=8)
    assert (found.kind, found.file, found.line) == ('rate', str(recipe), line)


def test_a_step_finds_a_layer_that_no_loss_reads(tmp_path, data):
    text = SEG + "model = dict(\n    decode_head=dict(type='HalfUsed'),  # <-\n)"
    recipe, line = plant(text, tmp_path, data)
    assert not check_config(recipe)
    (found,) = check_config(recipe, deep=True)
    assert (found.kind, found.line) == ('parameters', line)
    assert 'no gradient to decode_head.forgotten.weight and 1 others' in found.what


@pytest.mark.parametrize(
    'recipe', ['cls/vit_linear', 'det/vit_retinanet', 'det/convnext_mask_rcnn', 'seg/vit_fcn']
)
def test_a_step_of_our_recipes_finds_nothing(recipe):
    options = {'model.backbone.model_name': 'test_convnext'}
    found = check_config(CONFIGS / f'{recipe}.py', options=options, deep=True)
    assert ([str(one) for one in found], found.left_out) == ([], [])


def test_a_config_that_cannot_be_read_at_all(tmp_path):
    with pytest.raises(VitmmError, match='no config file'):
        check_config(tmp_path / 'nowhere.py')


def test_nothing_is_written_or_needed(tmp_path):
    options = {'data_root': str(tmp_path / 'shapes')}
    assert check_config(CONFIGS / 'seg/vit_fcn.py', options=options) == []
    assert list(tmp_path.iterdir()) == []


def test_a_dumped_config_is_clean_and_an_edit_of_it_is_not(tmp_path, data):
    """In the resolved config the names of the recipe are left over, and read by nothing."""
    from vitmm.config import load_config, resolve

    options = {'data_root': str(data), 'prepare_data': None}
    config = resolve(load_config(CONFIGS / 'det/vit_retinanet.py', options=options))
    dump = tmp_path / 'vit_retinanet.py'
    config.dump(dump)
    assert [str(found) for found in check_config(dump)] == []
    config.train_pipeline[2].keep_ratio = False
    config.dump(dump)
    (found,) = check_config(dump)
    assert found.kind == 'pipeline'
    assert dump.read_text().splitlines()[found.line - 1].startswith('train_pipeline = [')


def test_the_tool(tmp_path, data):
    recipe, line = plant(FAULTS['a key at the top'][1], tmp_path, data)
    done = fork_tool('check_config.py', recipe)
    assert done.returncode == 1, done.stderr
    first, last = done.stdout.splitlines()
    assert first == f"{recipe}:{line}: nothing reads 'train_cgf': did you mean train_cfg?"
    assert last == f'{recipe}: 1 finding'
    done = fork_tool('check_config.py', CONFIGS / 'cls/vit_linear.py')
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stdout


def test_data_root_on_the_command_line_is_read(tmp_path):
    recipe = tmp_path / 'stock.py'
    recipe.write_text(STOCK)
    found = check_config(recipe, options={'data_root': '/data/coco'})
    assert not [one for one in found if one.key == 'data_root']
