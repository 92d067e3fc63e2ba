"""Test-time augmentation: the same results by each tool, and what the views give together."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models.heads import MultiLabelClsHead
from mmpretrain.structures import DataSample
from PIL import Image
from predictions import config_of, same
from support import CONFIGS

from vitmm.apis.flipped_views import add_flipped_views
from vitmm.apis.inference import Predictor, infer
from vitmm.apis.predictions.analyze import analyze_predictions
from vitmm.apis.publish import publish
from vitmm.apis.refusals import refusals_explained
from vitmm.apis.switches import test_with_tta as use_tta
from vitmm.apis.test import test as evaluate
from vitmm.config import load_config, resolve
from vitmm.errors import ConfigError
from vitmm.inference.stored_model import read_model

SERIAL = {'test_dataloader.num_workers': 0}


@pytest.fixture
def any_model(request, trained, untrained):
    if request.param != 'det':
        return trained(request.param)
    # mmdet joins boxes, not masks; without training it finds them where it knows nothing.
    few = {'model.test_cfg.score_thr': 0.0, 'model.test_cfg.max_per_img': 20}
    return untrained('det/vit_retinanet.py', 'test_resnet', image_scale=(96, 96), **few)


@pytest.mark.parametrize('any_model', ['cls', 'det', 'seg'], indirect=True)
def test_results_are_those_of_testing(any_model, dumped, tmp_path):
    expected = dumped(any_model, tta=True, **SERIAL)
    folder = publish(any_model, tmp_path / 'published')
    found = dict(Predictor(folder, tta=True, device='cpu')(expected, batch_size=2))
    plain = dict(Predictor(folder, device='cpu')(expected))
    assert list(found) == list(expected)
    differ = 0
    for path, sample in expected.items():
        same(found[path], sample, rtol=1e-4, atol=1e-4)
        try:
            same(found[path], plain[path], rtol=1e-4, atol=1e-4)
        except AssertionError:
            differ += 1
    assert differ


@pytest.mark.parametrize('any_model', ['cls', 'det'], indirect=True)
def test_a_config_without_views_gets_the_mirror_image(any_model, tiny_shapes, tmp_path):
    config = Config.fromfile(config_of(any_model))
    for key in ('tta_model', 'tta_pipeline'):
        config.pop(key)
    stock = tmp_path / 'stock.py'
    stock.write_text(config.pretty_text)
    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:4]
    # Our recipes name these very views.
    expected = dict(Predictor(any_model, tta=True, device='cpu')(paths))
    for path, sample in Predictor(any_model, stock, tta=True, device='cpu')(paths):
        same(sample, expected[path])


def test_the_mirror_image_comes_before_the_truth():
    steps = [dict(type=kind) for kind in ('LoadImageFromFile', 'Resize', 'LoadAnnotations')]
    last = dict(type='PackDetInputs', meta_keys=('img_path',))
    flip = 'mmdet.RandomFlip'
    config = Config(dict(test_dataloader=dict(dataset=dict(pipeline=[*steps, last]))))
    add_flipped_views(config)
    assert config.tta_pipeline == [
        *steps[:2],
        dict(
            type='TestTimeAug',
            transforms=[
                [dict(type=flip, prob=1.0), dict(type=flip, prob=0.0)],
                [steps[2]],
                [dict(type='PackDetInputs', meta_keys=['img_path', 'flip', 'flip_direction'])],
            ],
        ),
    ]
    # What a config says itself stays, and mmseg's tool has no such default.
    own = Config(dict(config.to_dict(), tta_pipeline=None))
    add_flipped_views(own)
    assert own.tta_pipeline is None
    last['type'] = 'PackSegInputs'
    config = Config(dict(test_dataloader=dict(dataset=dict(pipeline=[*steps, last]))))
    add_flipped_views(config)
    assert 'tta_model' not in config


def test_scores_are_the_mean_and_labels_follow_them(trained, tiny_shapes):
    paths = sorted((tiny_shapes / 'JPEGImages').glob('*.jpg'))[:4]
    predictor = Predictor(trained('cls'), tta=True, device='cpu')
    plain = Predictor(trained('cls'), device='cpu')
    steps = [*plain.config.test_dataloader.dataset.pipeline[1:]]
    flip = dict(type='mmpretrain.RandomFlip', prob=1.0)
    turned = Predictor(
        trained('cls'),
        device='cpu',
        options={'test_dataloader.dataset.pipeline': [dict(type='vitmm.LoadImage'), flip, *steps]},
    )
    for (_, one), (_, straight), (_, other) in zip(
        predictor(paths), plain(paths), turned(paths), strict=True
    ):
        mean = (straight.pred_score + other.pred_score) / 2
        torch.testing.assert_close(one.pred_score, mean, atol=1e-3, rtol=1e-3)
        assert int(one.pred_label) == int(one.pred_score.argmax())


@pytest.mark.parametrize(
    ('settings', 'labels'),
    [(None, [1]), (dict(thr=0.35), [1, 3]), (dict(topk=3), [1, 3, 0])],
)
def test_labels_of_views_that_disagree(settings, labels, trained):
    model = Predictor(trained('cls'), tta=True, device='cpu')._tested
    if settings:
        model.module.head = MultiLabelClsHead(**settings)
    scores = ([0.6, 0.4, 0.0, 0.1], [0.0, 0.4, 0.2, 0.7])
    views = [DataSample().set_pred_score(torch.tensor(s)).set_pred_label(0) for s in scores]
    (merged,) = model.merge_preds([views])
    torch.testing.assert_close(merged.pred_score, torch.tensor([0.3, 0.4, 0.1, 0.4]))
    assert sorted(merged.pred_label.tolist()) == sorted(labels)


@pytest.mark.parametrize('any_model', ['seg'], indirect=True)
def test_analysis_measures_what_testing_measures(any_model, tmp_path):
    config = config_of(any_model)
    settings = dict(tta=True, options=SERIAL)
    expected = evaluate(config, any_model, work_dir=tmp_path / 'test', **settings)
    analyze_predictions(config, any_model, out=tmp_path / 'out', number=1, **settings)
    found = json.loads((tmp_path / 'out/analysis.json').read_text())['metrics']
    assert found == pytest.approx(expected, abs=1e-6)
    plain = evaluate(config, any_model, work_dir=tmp_path / 'test', options=SERIAL)
    assert plain['mIoU'] != expected['mIoU']
    (picture,) = (tmp_path / 'out/worst').glob('*.jpg')
    assert np.asarray(Image.open(picture)).std() > 10


def test_one_clear_message(trained, tiny_shapes, tmp_path):
    root = {'data_root': str(tiny_shapes), 'prepare_data': None}
    masks = resolve(load_config(CONFIGS / 'det/convnext_mask_rcnn.py', None, root))
    with pytest.raises(ConfigError, match='not the masks that this model gives'):
        use_tta(masks)
    none = {'tta_pipeline': None}
    with pytest.raises(ConfigError, match='no tta_model and tta_pipeline'):
        infer(trained('cls'), tiny_shapes, tmp_path / 'out', tta=True, options=none)
    with pytest.raises(ConfigError, match='classes, not logits'):
        Predictor(trained('seg'), tta=True, keep_logits=True)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('key', ['tta_model.type', 'model.backbone.type'])
def test_a_wrong_type_is_told_by_the_key_that_was_written(key, trained):
    config = copy.deepcopy(read_model(trained('cls')).config)
    config.merge_from_dict({key: 'NoSuch'})
    use_tta(config)
    with (
        pytest.raises(ConfigError, match=rf'^{key}: .*NoSuch'),
        refusals_explained(config),
        DefaultScope.overwrite_default_scope('mmpretrain'),
    ):
        MODELS.build(config.model)


def test_no_codebase_is_loaded_for_it_beforehand():
    code = "import sys, vitmm.models; assert 'mmpretrain.models' not in sys.modules"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
