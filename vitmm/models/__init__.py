"""What joins timm's backbones to OpenMMLab's heads."""

from vitmm.models.backbones import TimmBackbone
from vitmm.models.data_preprocessors import det_data_preprocessor
from vitmm.models.necks import FeaturePyramid, MapNorm, SimpleFPN, UNetDecoder

__all__ = [
    'FeaturePyramid',
    'MapNorm',
    'SimpleFPN',
    'TimmBackbone',
    'UNetDecoder',
    'det_data_preprocessor',
]
