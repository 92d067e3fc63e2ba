"""What joins timm's backbones to OpenMMLab's heads."""

from vitmm.models.backbones import TimmBackbone
from vitmm.models.data_preprocessors import det_data_preprocessor
from vitmm.models.losses import CrossEntropyLoss
from vitmm.models.necks import FeaturePyramid, MapNorm, SimpleFPN, UNetDecoder

__all__ = [
    'CrossEntropyLoss',
    'FeaturePyramid',
    'MapNorm',
    'SimpleFPN',
    'TimmBackbone',
    'UNetDecoder',
    'det_data_preprocessor',
]
