"""What joins timm's backbones to OpenMMLab's heads."""

from vitmm.models.backbones import TimmBackbone
from vitmm.models.necks import FeaturePyramid, SimpleFPN

__all__ = ['FeaturePyramid', 'SimpleFPN', 'TimmBackbone']
