"""Stock configs with a timm backbone put in, and what they set for their own left there."""

import pytest
from mmengine.config import Config
from support import CONFIGS

from vitmm.apis.check_config import check_config
from vitmm.apis.misfits import misfits
from vitmm.apis.train import train
from vitmm.errors import ConfigError

# A base, what is said of it, and what to set then.
STOCK = {
    'weights': (
        'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        "pretrained='open-mmlab://resnet50_v1c' is of the backbone that the config was for: set "
        'model.pretrained=None',
        {'model.pretrained': None},
    ),
    'decay': (
        'mmseg::convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',
        "constructor='LearningRateDecayOptimizerConstructor' knows the layers of stock backbones "
        "alone: set it to 'vitmm.LayerDecayConstructor'",
        {'optim_wrapper.constructor': 'vitmm.LayerDecayConstructor'},
    ),
    'mixed labels': (
        'mmpretrain::deit/deit-tiny_4xb256_in1k.py',
        'data_preprocessor.num_classes is 1000, and the head has 6 classes: mixed images want',
        {'data_preprocessor.num_classes': 6},
    ),
    'hidden patches': (
        'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
        "model.type='MAE' has its backbone hide patches, and vitmm.TimmBackbone hides none: set "
        "model.backbone.type='vitmm.MaskedTimmBackbone'",
        {'model.backbone.type': 'vitmm.MaskedTimmBackbone'},
    ),
    "patches hidden in the model's way": (
        'mmpretrain::simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py',
        'vitmm.TimmBackbone does not do it as this model wants: keep its own backbone',
        {'model.backbone.type': 'SimMIMSwinTransformer'},
    ),
    'two tokens': (
        'mmpretrain::deit/deit-tiny-distilled_4xb256_in1k.py',
        "model.head.type='DeiTClsHead' takes two outputs, and a timm backbone gives one: take",
        {'model.head.type': 'LinearClsHead'},
    ),
}


@pytest.mark.parametrize('case', STOCK)
def test_one_message_before_anything_is_built(case, tmp_path):
    base, said, remedy = STOCK[case]
    recipe = tmp_path / 'mine.py'
    recipe.write_text(
        f'_base_ = {base!r}\n'
        "model = dict(backbone=dict(_delete_=True, type='vitmm.TimmBackbone',"
        " model_name='test_resnet'))\n"
        + ('model["head"] = dict(num_classes=6)\n' if case == 'mixed labels' else '')
    )
    config = Config.fromfile(recipe)
    ((key, what, todo),) = misfits(config)
    assert said in f'{what}: {todo}'
    (found,) = (one for one in check_config(recipe) if one.key == '.'.join(key))
    assert (found.what, found.remedy) == (what, todo)
    assert [*remedy] == ['.'.join(key)]
    config.merge_from_dict(remedy)
    assert not [*misfits(config)]


def test_training_says_it(tiny_options, tmp_path):
    options = {**tiny_options, 'optim_wrapper.constructor': 'LearningRateDecayOptimizerConstructor'}
    with pytest.raises(ConfigError, match=r'^optim_wrapper\.constructor=.*LayerDecayConstructor'):
        train(CONFIGS / 'det/vit_retinanet.py', work_dir=tmp_path / 'w', options=options)
    assert not (tmp_path / 'w').exists()


def test_a_key_of_the_stock_backbone(tiny_options, tmp_path):
    options = {**tiny_options, 'model.backbone.num_stages': 4}
    with pytest.raises(
        ConfigError, match=r"'num_stages'\. .* model\.backbone\._delete_=True drops"
    ):
        train(CONFIGS / 'det/vit_retinanet.py', work_dir=tmp_path / 'w', options=options)
