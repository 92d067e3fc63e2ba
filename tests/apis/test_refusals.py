"""Options that a class refuses: one message with the key; other errors keep their traceback."""

import pytest
from mmcv.cnn import build_norm_layer
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS, MODELS, TRANSFORMS
from support import CONFIGS, PUBLISHED, RECIPES

from vitmm.apis.evaluators import refuse_unknown_evaluators
from vitmm.apis.refusals import refusals_explained
from vitmm.apis.train import train
from vitmm.config import load_config
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError

RECIPE = CONFIGS / 'cls' / 'vit_linear.py'


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('train_cfg.max_epoch', 1, r'train_cfg\.max_epoch: .* no max_epoch\. .*mean max_epochs'),
        ('optim_wrapper.optimizer.lrr', 1, r'optimizer\.lrr: AdamW takes no lrr\. Did you mean lr'),
        ('default_hooks.logger.foo', 1, r'LoggerHook takes no foo\.$'),
        ('train_cfg.max_epochs', 'abc', r"train_cfg\.max_epochs is a whole number, .*not 'abc'"),
        (
            'train_dataloader.batch_size',
            0,
            r'train_dataloader\.batch_size is a whole number, 1',
        ),
        ('model.backbone.modelname', 'a', r'modelname.*Did you mean model_name'),
        ('custom_hooks', [dict(type='EarlyStopingHook')], r'custom_hooks\.0.*EarlyStoppingHook'),
        ('default_hooks.timer.type', 'ItterTimerHook', r'hooks\.timer\.type: no hook.*IterTimer'),
        ('val_evaluator.type', 'Acuracy', r"evaluator\.type: no metric is called 'Acuracy'.*Acc"),
        ('test_evaluator.type', 'Acuracy', r"^test_evaluator.type: no metric.*'Acuracy'.*Acc"),
        ('test_evaluator.topkk', 1, r'^test_evaluator.topkk: vitmm.Accuracy takes.*mean topk'),
        ('model.backbone.type', 'vitmm.TimBackbone', r'backbone\.type: .*mean vitmm\.TimmBackbone'),
        ('visualizer.savedir', 'a', r'visualizer.savedir: ClsVisualizer takes no.*mean save_dir'),
        ('optim_wrapper.optimizer.type', 'AdamWX', r'optimizer\.type: no optimizer .*Did you mean'),
        ('auto_scale_lr.enable', True, r'^auto_scale_lr\.enable: set .*base_batch_size'),
        ('label_smoothing', 2, r'^label_smoothing is from 0 to 1, not 2'),
        ('train_dataloader.sampler.type', 'InfiniteSampler', 'no end, and train_cfg counts epochs'),
        ('model.backbone', 'resnet18', 'backbone=resnet18 is text, where the base has settings'),
        ('topk', (1, 9), 'counts the 9 best of the 6 classes that the head has; set it to 6'),
        ('log_level', 'INFOO', r"log_level='INFOO'.*Did you mean INFO"),
        (
            'default_hooks.checkpoint.save_best',
            'accuracy/top5',
            r'checkpoint: save_best=.*Did you mean accuracy/top1',
        ),
    ],
)
def test_the_key_is_named(key, value, words, tiny_options, tmp_path):
    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64, key: value}
    options['model.backbone.model_name'] = 'test_resnet'
    with pytest.raises(ConfigError, match=words):
        train(RECIPE, work_dir=tmp_path, options=options)


def test_a_package_that_is_missing(tiny_options, tmp_path):
    @TRANSFORMS.register_module(force=True)
    class NeedsMore:
        def __init__(self):
            raise RuntimeError('more is not installed')

    pipeline = ['${load_image}', dict(type='NeedsMore'), dict(type='mmpretrain.PackInputs')]
    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64, 'train_pipeline': pipeline}
    with pytest.raises(
        ConfigError, match=r'pipeline\.1: NeedsMore .*: more is not installed: pip install more'
    ):
        train(RECIPE, work_dir=tmp_path, options=options)


def test_values_that_a_recipe_has_and_a_library_refuses(tiny_options, tmp_path):
    flips = [dict(type='mmpretrain.RandomFlip', prob=prob) for prob in (0.5, 1.5)]
    pipeline = ['${load_image}', *flips, dict(type='mmpretrain.PackInputs')]
    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64}
    with pytest.raises(
        ConfigError,
        match=r'^train_pipeline\.2: RandomFlip does not take that \(assert 0 <= prob <= 1',
    ):
        train(RECIPE, work_dir=tmp_path, options={**options, 'train_pipeline': pipeline})
    recipe = tmp_path / 'mine.py'
    recipe.write_text(f"_base_ = '{RECIPE}'\ntrain_dataloader = dict(persistent_workers=True)\n")
    assert options['train_dataloader.num_workers'] == 0
    with pytest.raises(ConfigError, match=r'DataLoader does not take that \(persistent_w'):
        train(recipe, work_dir=tmp_path, options=options)


def test_a_bug_of_ones_own_keeps_its_traceback(tiny_options, tmp_path):
    @TRANSFORMS.register_module(force=True)
    class Mine:
        def __init__(self):
            self.flip = TRANSFORMS.build(dict(type='mmpretrain.RandomFlip', prob=1.5))

    pipeline = ['${load_image}', dict(type='Mine'), dict(type='mmpretrain.PackInputs')]
    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64, 'train_pipeline': pipeline}
    with pytest.raises(AssertionError):
        train(RECIPE, work_dir=tmp_path, options=options)


def test_nothing_of_a_base_to_drop():
    config = Config(dict(loss=[dict(type='mmseg.FocalLoss')]))
    config.loss[0]['_delete_'] = True
    with (
        pytest.raises(
            ConfigError, match=r'^loss\.0\._delete_: no base says anything here: leave it'
        ),
        refusals_explained(config),
    ):
        MODELS.build(config.loss[0])


def test_several_places_of_one_value():
    config = Config(
        dict(
            default_scope='mmdet',
            neck=dict(norm_cfg=dict(type='GN', num_groups=32)),
            head=dict(norm_cfg=dict(type='GN', num_groups=32), other=dict(type='GN', num_groups=8)),
        )
    )
    with (
        pytest.raises(ConfigError, match=r'^neck\.norm_cfg or head\.norm_cfg: GroupNorm does not'),
        refusals_explained(config),
    ):
        build_norm_layer(config.head.norm_cfg, 100)


def test_an_epoch_without_a_batch(tiny_options, tmp_path):
    few = {'train_dataloader.batch_size': 1000, 'train_dataloader.drop_last': True}
    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64, **few}
    with pytest.raises(ConfigError, match=r'no batch: \d+ images for 1 times 1000, and drop_last'):
        train(RECIPE, work_dir=tmp_path, options=options)


def test_an_empty_recipe(tmp_path):
    (tmp_path / 'empty.yaml').touch()
    with pytest.raises(ConfigError, match=r'empty\.yaml has no model'):
        train(tmp_path / 'empty.yaml', work_dir=tmp_path / 'out')


def test_what_a_base_leaves_in_the_way(tiny_options, tmp_path):
    loop = {'train_cfg.type': 'IterBasedTrainLoop', 'train_cfg.max_iters': 2}
    del tiny_options['train_cfg.max_epochs']
    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64, **loop}
    with pytest.raises(ConfigError, match=r'no max_epochs\. train_cfg\._delete_=True drops what'):
        train(RECIPE, work_dir=tmp_path, options=options)


@pytest.mark.parametrize(
    ('evaluator', 'words'),
    [
        (dict(type='mmdet.CocoMetrc'), r'^test_evaluator\.type: no metric .*mmdet\.CocoMetric'),
        ([dict(type='Accuracy'), dict(type='IoUMetric')], r'^test_evaluator\.1\.type: no metric'),
        (dict(type='Evaluator', metrics=[dict(type='Acuracy')]), r'^test_evaluator\.metrics\.0\.t'),
        (dict(type='vitmm.CocoMetric', anm_file='a'), r'anm_file: .*Did you mean ann_file'),
    ],
)
def test_the_test_sets_evaluator_is_looked_up_before_training(evaluator, words):
    config = Config(dict(default_scope='mmpretrain', test_evaluator=evaluator))
    with pytest.raises(ConfigError, match=words):
        refuse_unknown_evaluators(config)


def test_metrics_that_swallow_keywords_are_left_to_do_so():
    kept = dict(type='mmseg.IoUMetric', keep_results=True)
    refuse_unknown_evaluators(Config(dict(default_scope='mmseg', val_evaluator=kept)))


@pytest.mark.parametrize(
    'recipe', RECIPES[::3] + PUBLISHED[::6], ids=lambda p: f'{p.parent.name}-{p.stem}'
)
def test_evaluators_of_recipes_pass(recipe):
    refuse_unknown_evaluators(Config(load_config(recipe).to_dict()))


def test_a_data_set_of_no_registry_has_near_names(tiny_options, tmp_path):
    options = {**tiny_options, 'train_dataloader.dataset.type': 'CustomDatset'}
    with pytest.raises(DataError, match=r"'CustomDatset' in .*Did you mean CustomDataset"):
        train(RECIPE, work_dir=tmp_path, options=options)


def test_a_metric_of_somebody_that_gives_another_name(tiny_options, tmp_path):
    """Nobody can know it before the first validation, which then lists what there is."""

    @METRICS.register_module(name='Odd')
    class Odd(BaseMetric):
        def process(self, data_batch, data_samples):
            self.results.append(1)

        def compute_metrics(self, results):
            return {'count': len(results)}

    options = {**tiny_options, 'image_size': 64, 'resize_edge': 64, 'train_cfg.max_epochs': 1}
    options |= {'model.backbone.model_name': 'test_resnet', 'val_evaluator': [dict(type='Odd')]}
    options['default_hooks.checkpoint.save_best'] = 'counts'
    words = r"save_best: the validation gives no 'counts', but count\. Did you mean count\?"
    try:
        with pytest.raises(ConfigError, match=words):
            train(RECIPE, work_dir=tmp_path, options=options)
    finally:
        del METRICS.module_dict['Odd']


def test_what_is_missing_is_named():
    cfg = Config(dict(model=dict(neck=dict(type='vitmm.FeaturePyramid', out_strides=(4, 8)))))
    words = r'^model\.neck: FeaturePyramid needs in_channels and in_strides as well\.$'
    with pytest.raises(ConfigError, match=words), refusals_explained(cfg):
        MODELS.build(cfg.model.neck)


def test_other_errors_pass_as_they_are():
    class Broken:
        def __init__(self, width):
            self.part = Part(wide=width)

    class Part:
        def __init__(self, width):
            int(width)

    def compute(text):
        return int(text)

    cfg = Config(dict(model=dict(type='vitmm.FeaturePyramid', in_channels=1)))
    for call, error in (
        (lambda: Broken(1), TypeError),  # the config has no such dict
        (lambda: MODELS.build(dict(type='vitmm.FeaturePyramid', wide=1)), TypeError),
        (lambda: Part('a'), ValueError),
        (lambda: compute('a'), ValueError),
    ):
        with pytest.raises(error) as caught, refusals_explained(cfg, {'model.in_channels': 1}):
            call()
        assert caught.type is error  # a ConfigError is a ValueError, too
