"""What joins timm's backbones to OpenMMLab's heads."""

from vitmm.models.backbones import MaskedTimmBackbone, TimmBackbone
from vitmm.models.data_preprocessors import det_data_preprocessor
from vitmm.models.heads import DepthHead
from vitmm.models.losses import CrossEntropyLoss
from vitmm.models.necks import FeaturePyramid, MapNorm, SimpleFPN, UNetDecoder, mae_decoder
from vitmm.models.tta import average_cls_score_tta

__all__ = [
    'CrossEntropyLoss',
    'DepthHead',
    'FeaturePyramid',
    'MapNorm',
    'MaskedTimmBackbone',
    'SimpleFPN',
    'TimmBackbone',
    'UNetDecoder',
    'average_cls_score_tta',
    'det_data_preprocessor',
    'mae_decoder',
]
