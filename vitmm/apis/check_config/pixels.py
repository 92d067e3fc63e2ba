"""Pixel statistics that are not those of the weights, and channels in the wrong order."""

from collections.abc import Mapping, Sequence
from typing import Any

from vitmm.apis.bare_model import walk
from vitmm.apis.check_config.case import Case
from vitmm.config.kinds import kind_of

_KEY = ('model', 'data_preprocessor')
_IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB: torchvision's, most of timm's


def check_pixels(case: Case) -> None:
    """Compare what the data preprocessor does with what the pretrained backbone was trained on."""
    settings = case.get(*_KEY) or case.get('data_preprocessor') or {}
    key = _KEY if case.get(*_KEY) else ('data_preprocessor',)
    mean, std = settings.get('mean'), settings.get('std')
    if mean is not None:
        _check_twice(case)
    expected = _statistics(case)
    if expected is None:
        return
    turned = any(settings.get(name) for name in ('bgr_to_rgb', 'to_rgb', 'rgb_to_bgr'))
    for name, given, own in (('mean', mean, expected[0]), ('std', std, expected[1])):
        if given is not None and not _near(given, own):
            reverse = len(own) == 3 and _near(given, own[::-1])
            case.say(
                'pixels',
                (*key, name),
                f'{name}={_show(given)} is not that of the pretrained weights, {_show(own)}'
                + (' (the channels are the wrong way round)' if reverse else ''),
                "set it to theirs (mean='${backbone.mean}', std='${backbone.std}' here)"
                if case.get('model', 'backbone', 'type') == 'vitmm.TimmBackbone'
                else 'set it to theirs',
            )
    if len(expected[0]) == 3 and not turned and _loads_bgr(case):
        case.say(
            'pixels',
            key,
            'images are loaded as BGR, and the pretrained weights want RGB',
            f'set {"to_rgb" if case.scope == "mmpretrain" else "bgr_to_rgb"}=True',
        )


def _check_twice(case: Case) -> None:
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for key, part in walk(case.get(loader) or {}, (loader,)):
            if kind_of(part) == 'Normalize':
                case.say(
                    'pixels',
                    key,
                    'images are normalised twice, here and by the data preprocessor',
                    'take one of them out',
                )


def _statistics(case: Case) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and std of the weights (RGB, 0 to 255); None where there are none, or none known."""
    backbone = case.get('model', 'backbone') or {}
    kind = kind_of(backbone)
    weights = backbone.get('init_cfg')
    source = weights.get('checkpoint', '') if isinstance(weights, Mapping) else ''
    if str(source).startswith('torchvision://'):
        return _IMAGENET
    if not backbone.get('pretrained'):
        return None
    built = getattr(case.model, 'backbone', None)
    if hasattr(built, 'mean') and hasattr(built, 'std'):
        return built.mean, built.std
    if kind in ('TIMMBackbone', 'TimmBackbone') and 'model_name' in backbone:
        import timm

        told = timm.get_pretrained_cfg(backbone['model_name'])
        if told:
            return [255 * v for v in told.mean], [255 * v for v in told.std]
    return None


def _loads_bgr(case: Case) -> bool:
    steps = [part for _, part in walk(case.get('train_dataloader') or {})]
    loads = [s for s in steps if 'LoadImage' in str(s.get('type'))]
    return all('channel_order' not in s and s.get('imdecode_backend') is None for s in loads)


def _near(given: Sequence[Any], own: Sequence[float]) -> bool:
    """Equal to half a step of 8 bits."""
    same = len(given) == len(own)
    return same and all(abs(a - b) < 0.5 for a, b in zip(given, own, strict=True))


def _show(values: Sequence[float]) -> str:
    return f'({", ".join(f"{v:.5g}" for v in values)})'
