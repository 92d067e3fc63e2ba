"""Backbones: any timm model."""

from vitmm.models.backbones.masked import MaskedTimmBackbone
from vitmm.models.backbones.timm_backbone import TimmBackbone

__all__ = ['MaskedTimmBackbone', 'TimmBackbone']
