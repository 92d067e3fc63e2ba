"""What joins timm's backbones to OpenMMLab's heads."""

from vitmm.models.backbones import TimmBackbone
from vitmm.models.data_preprocessors import det_data_preprocessor
from vitmm.models.necks import FeaturePyramid, SimpleFPN

__all__ = ['FeaturePyramid', 'SimpleFPN', 'TimmBackbone', 'det_data_preprocessor']
