"""Heads that mmpretrain, mmdet and mmseg lack."""

from vitmm.models.heads.depth_head import DepthHead

__all__ = ['DepthHead']
