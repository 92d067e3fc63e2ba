"""Test-time augmentation, of whose codebase nothing is loaded before a config asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitmm.registry import MODELS

if TYPE_CHECKING:
    from vitmm.models.averaged_scores import AverageClsScoreTTA


@MODELS.register_module(name='AverageClsScoreTTA')
def average_cls_score_tta(*args: Any, **settings: Any) -> AverageClsScoreTTA:
    """Build :class:`vitmm.models.averaged_scores.AverageClsScoreTTA`."""
    from vitmm.models.averaged_scores import AverageClsScoreTTA

    return AverageClsScoreTTA(*args, **settings)
