"""Heads that mmpretrain, mmdet and mmseg lack."""

from typing import Any

from vitmm.models.heads.depth_head import DepthHead
from vitmm.registry import MODELS

__all__ = ['DepthHead', 'dpt_head']


@MODELS.register_module(name='DPTHead')
def dpt_head(*args: Any, **kwargs: Any) -> Any:
    """Build :class:`vitmm.models.heads.dpt_head.DPTHead`; mmseg is loaded when a config asks."""
    from vitmm.models.heads.dpt_head import DPTHead

    return DPTHead(*args, **kwargs)
