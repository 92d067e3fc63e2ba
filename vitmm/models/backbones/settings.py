"""Which settings of a backbone go together."""

import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

from vitmm.errors import BackboneError


def is_whole(value: Any) -> bool:
    """Whether it is a whole number. To Python True is 1: of blocks, where all were meant."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _are_whole(value: Any) -> bool:
    return is_whole(value) or (
        isinstance(value, Sequence) and not isinstance(value, str) and all(map(is_whole, value))
    )


_PATH = str | os.PathLike
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    'model_name': (lambda value: isinstance(value, str), 'give a name of timm.list_models().'),
    'pretrained': (
        # A path of nothing is what a variable that is not set leaves.
        lambda value: value is None or (isinstance(value, bool | _PATH) and value != ''),
        "give True for timm's own weights, the path of a file, or False.",
    ),
    'out_strides': (_are_whole, 'give whole numbers, in pixels.'),
    'out_indices': (lambda value: value is None or _are_whole(value), 'give whole numbers.'),
    'global_blocks': (_are_whole, 'give how many blocks, or a list of their numbers.'),
    'frozen_norms': (lambda value: isinstance(value, bool), 'give True or False.'),
}


def check_types(**settings: Any) -> None:
    """Refuse settings of another type, which Python takes for other values, or not at all."""
    for name, value in settings.items():
        fits, advice = _TYPES[name]
        if not fits(value):
            raise BackboneError(f'model.backbone.{name}={value!r}: {advice}')


def check_settings(
    output: str,
    num_classes: int | None,
    out_norm: str | None,
    class_token: bool,
    lora: Mapping[str, Any] | None,
    model_kwargs: Mapping[str, Any] | None,
    drop_path_rate: float | None,
) -> None:
    """Refuse settings that do not go together, or that timm takes without a word."""
    if not 0 <= (drop_path_rate or 0) < 1:
        raise BackboneError(f'drop_path_rate is from 0 to below 1, not {drop_path_rate}.')
    if output not in ('maps', 'pooled', 'logits'):
        raise BackboneError(
            f"model.backbone.output is 'maps', 'pooled' or 'logits', not {output!r}."
        )
    if (output == 'logits') is not bool(num_classes):
        raise BackboneError(
            "model.backbone.num_classes goes with output='logits', timm's own classifier, and "
            f'with no other: output={output!r}, num_classes={num_classes}.'
        )
    if output == 'logits' and lora is not None:
        raise BackboneError(
            "lora freezes timm's own classifier too: take output='pooled' and a head."
        )
    for name in ('num_classes', 'in_chans', 'drop_path_rate'):
        if name in (model_kwargs or {}):
            raise BackboneError(
                f'model.backbone.model_kwargs.{name}: TimmBackbone sets it itself; give '
                f'model.backbone.{name}.'
            )
    if out_norm not in (None, 'final', 'layer'):
        raise BackboneError(f"out_norm is 'final', 'layer' or None, not {out_norm!r}.")
    if output != 'maps' and class_token:
        raise BackboneError(f'class_token is for maps: leave it out with output={output!r}.')
    if output != 'maps' and out_norm:
        raise BackboneError(f'out_norm is for maps: leave it out with output={output!r}.')
