"""A detector trained without halts becomes the same one."""

import pytest
import torch
from support import CONFIGS

from vitmm.apis.train import train
from vitmm.models.halts.anchors import _loss
from vitmm.models.precision import _in_float32

SMALL = {
    'image_scale': (96, 96),
    'model.backbone.model_name': 'test_vit',
    'model.backbone.model_kwargs': {},
    'train_cfg.max_epochs': 1,
}


@pytest.mark.parametrize(
    'recipe', ['vit_retinanet', 'convnext_mask_rcnn', 'resnet_deformable_detr']
)
def test_the_same_weights_come_out(recipe, tiny_options, tmp_path):
    options = {**tiny_options, **SMALL}
    if recipe == 'convnext_mask_rcnn':
        # As many as there are, so that the samples are not drawn.
        options |= {
            f'model.train_cfg.{stage}.sampler.{key}': value
            for stage in ('rpn', 'rcnn')
            for key, value in (('num', 10**5), ('pos_fraction', 0.9))
        }
    weights = []
    for hook in (dict(type='vitmm.FewerHaltsHook'), None):
        runner = train(
            CONFIGS / 'det' / f'{recipe}.py',
            work_dir=tmp_path / str(bool(hook)),
            options={**options, 'default_hooks.fewer_halts': hook},
        )
        weights.append(dict(runner.model.named_parameters()))
        heads = [m for m in runner.model.modules() if 'loss_by_feat' in vars(m)]
        assert len(heads) == (1 if hook else 0)
    ours, theirs = weights
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=2e-5, msg=name)


def test_losses_stay_in_float32_under_autocast(tiny_options, tmp_path):
    options = {**tiny_options, **SMALL}
    runner = train(CONFIGS / 'det/vit_retinanet.py', work_dir=tmp_path, options=options, amp=True)
    loss = runner.model.bbox_head.loss_by_feat
    assert loss.func is _in_float32 and loss.args[0].func is _loss
