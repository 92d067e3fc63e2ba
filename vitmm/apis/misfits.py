"""What stock configs set for their own backbones, and a timm backbone under them cannot have."""

from collections.abc import Iterator, Mapping
from typing import Any

from vitmm.apis.class_counts import class_counts
from vitmm.config.kinds import kind_of
from vitmm.config.places import Key
from vitmm.errors import ConfigError

_HOSTS = ('open-mmlab://', 'torchvision://', 'mmcls://', 'modelzoo://')  # of stock backbones
_DECAYS = (
    'LearningRateDecayOptimizerConstructor',  # mmdet's and mmseg's
    'LayerDecayOptimizerConstructor',  # mmseg's older one
    'LearningRateDecayOptimWrapperConstructor',  # mmpretrain's
)
# mmpretrain's models that have their backbones hide patches: as MaskedTimmBackbone does, and not.
_HIDING = ('EVA', 'MAE')
_HIDING_OTHERWISE = (
    'BEiT', 'CAE', 'MFF', 'MILAN', 'MaskFeat', 'MixMIM', 'SimMIM', 'SparK', 'iTPN',
)  # fmt: skip
_TWOFOLD = ('ConformerHead', 'DeiTClsHead')


def misfits(config: Mapping[str, Any]) -> Iterator[tuple[Key, str, str]]:
    """The keys at fault in a resolved config, what is wrong with each, and what to do."""
    model = config.get('model') or {}
    backbone = kind_of(model.get('backbone') or {})
    if backbone in ('TimmBackbone', 'MaskedTimmBackbone'):
        pretrained = model.get('pretrained')
        if isinstance(pretrained, str) and pretrained.startswith(_HOSTS):
            yield (
                ('model', 'pretrained'),
                f'model.pretrained={pretrained!r} is of the backbone that the config was for',
                "set model.pretrained=None; timm's own weights are model.backbone.pretrained=True",
            )
        wrapper = config.get('optim_wrapper') or {}
        if kind_of({'type': wrapper.get('constructor')}) in _DECAYS:
            yield (
                ('optim_wrapper', 'constructor'),
                f'optim_wrapper.constructor={wrapper["constructor"]!r} knows the layers of stock '
                'backbones alone',
                "set it to 'vitmm.LayerDecayConstructor', and paramwise_cfg to "
                'dict(_delete_=True, layer_decay=0.75)',
            )
        yield from _whole_models(model, backbone)
    yield from _mixed_labels(config, model)


def _whole_models(model: Mapping[str, Any], backbone: str) -> Iterator[tuple]:
    """Models and heads that are made for what only their own backbones give."""
    kind, head = kind_of(model), kind_of(model.get('head') or {})
    hides = f'model.type={model.get("type")!r} has its backbone hide patches, and vitmm.{backbone}'
    place = ('model', 'backbone', 'type')
    if kind in _HIDING and backbone == 'TimmBackbone':
        yield (
            place,
            f'{hides} hides none',
            "set model.backbone.type='vitmm.MaskedTimmBackbone', as configs/mim/vit_mae.py has it",
        )
    if kind in _HIDING_OTHERWISE:
        yield (
            place,
            f'{hides} does not do it as this model wants',
            'keep its own backbone, or pretrain as configs/mim/vit_mae.py does',
        )
    if head in _TWOFOLD:
        yield (
            ('model', 'head', 'type'),
            f'model.head.type={model["head"]["type"]!r} takes two outputs, and a timm backbone '
            'gives one',
            "take 'mmpretrain.LinearClsHead' for it, with _delete_=True, in_channels and "
            'num_classes',
        )


def _mixed_labels(config: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[tuple]:
    """mmpretrain's mixtures of images need as many labels as the head has."""
    inner = model.get('data_preprocessor') or {}
    settings = inner or config.get('data_preprocessor') or {}
    mixes = (model.get('train_cfg') or {}).get('augments') or settings.get('batch_augments')
    given = settings.get('num_classes')
    heads = {number for key, _, number in class_counts(model) if number and 'head' in key}
    if mixes and given and heads and given not in heads:
        key = ('model', 'data_preprocessor') if inner else ('data_preprocessor',)
        yield (
            (*key, 'num_classes'),
            f'{".".join(key)}.num_classes is {given}, and the head has {max(heads)} classes',
            'mixed images want the same: set it to ${data.num_classes}',
        )


def refuse_misfits(config: Mapping[str, Any]) -> None:
    """Raise a ConfigError of the first misfit: before a model is built."""
    for _, what, remedy in misfits(config):
        raise ConfigError(f'{what}: {remedy}.')
