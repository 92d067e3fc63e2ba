"""Which settings of a backbone go together."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

from vitmm.errors import BackboneError


def is_whole(value: Any) -> bool:
    """Whether it is a whole number. To Python True is 1: of blocks, where all were meant."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _are_whole(value: Any) -> bool:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return all(map(is_whole, value)) if several else is_whole(value)


def check_types(
    model_name: Any,
    pretrained: Any,
    out_indices: Any,
    window_size: Any,
    global_blocks: Any,
    frozen_norms: Any,
) -> None:
    """Refuse settings of another type, which Python takes for other values, or not at all."""
    if not isinstance(model_name, str):
        _refuse('model_name', model_name, 'give a name of timm.list_models().')
    if pretrained == '':  # of a variable that is not set: nothing would be loaded
        _refuse('pretrained', pretrained, "give True for timm's own weights, a file, or False.")
    if out_indices is not None and not _are_whole(out_indices):
        _refuse('out_indices', out_indices, 'give whole numbers.')
    if window_size is not None and not _are_whole(global_blocks):
        advice = 'give how many blocks, or a list of their numbers.'
        _refuse('global_blocks', global_blocks, advice)
    if isinstance(frozen_norms, str):
        _refuse('frozen_norms', frozen_norms, 'give True or False.')


def _refuse(name: str, value: Any, advice: str) -> None:
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
