"""Which settings of a backbone go together."""

from collections.abc import Mapping
from typing import Any

from vitmm.errors import BackboneError


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
    if 'num_classes' in (model_kwargs or {}):
        raise BackboneError('model.backbone.model_kwargs.num_classes: TimmBackbone sets it itself.')
    if out_norm not in (None, 'final', 'layer'):
        raise BackboneError(f"out_norm is 'final', 'layer' or None, not {out_norm!r}.")
    if output != 'maps' and class_token:
        raise BackboneError(f'class_token is for maps: leave it out with output={output!r}.')
    if output != 'maps' and out_norm:
        raise BackboneError(f'out_norm is for maps: leave it out with output={output!r}.')
