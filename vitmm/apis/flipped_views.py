"""Test-time augmentation of configs that name none: an image and its mirror image."""

from typing import Any

from mmengine.config import Config

from vitmm.config.kinds import kind_of
from vitmm.datasets.sources import leaves

# By the last step of a pipeline, as the test tools of mmdet and mmpretrain have it; mmseg's has
# no such default.
_FLIPS = {'PackDetInputs': 'mmdet.RandomFlip', 'PackInputs': 'mmpretrain.RandomFlip'}
_MODELS = {
    'PackDetInputs': dict(
        type='DetTTAModel',  # mmdet registers it for everybody
        tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
    'PackInputs': dict(type='mmpretrain.AverageClsScoreTTA'),
}


def add_flipped_views(config: Config) -> None:
    """Set ``tta_model`` and ``tta_pipeline`` where a config has no such key.

    The views are those of the test's own pipeline, straight and mirrored before the truth is
    loaded, which stays as it is. Nothing is set where pipelines differ, or end in another step
    than mmdet's and mmpretrain's.
    """
    loader = config.get('test_dataloader') or config.get('val_dataloader')
    pipelines = [dataset.get('pipeline') for dataset in leaves(loader.dataset)] if loader else []
    if not pipelines or not pipelines[0] or any(one != pipelines[0] for one in pipelines):
        return
    kind = kind_of(pipelines[0][-1])
    if kind in _FLIPS:
        config.setdefault('tta_model', _MODELS[kind])
        config.setdefault('tta_pipeline', _with_flips(pipelines[0], _FLIPS[kind]))


def _with_flips(pipeline: list[dict], flip: str) -> list[dict[str, Any]]:
    *steps, last = pipeline
    kinds = [kind_of(step) for step in steps]
    truth = kinds.index('LoadAnnotations') if 'LoadAnnotations' in kinds else len(steps)
    if 'meta_keys' in last:  # by default it has them
        last = {**last, 'meta_keys': [*last['meta_keys'], 'flip', 'flip_direction']}
    views = [dict(type=flip, prob=1.0), dict(type=flip, prob=0.0)]
    rest = [[step] for step in (*steps[truth:], last)]
    return [*steps[:truth], dict(type='TestTimeAug', transforms=[views, *rest])]
