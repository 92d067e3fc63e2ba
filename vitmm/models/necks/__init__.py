"""Necks: from a backbone's strides to those that a head expects."""

from timm.layers import LayerNorm2d

from vitmm.models.necks.feature_pyramid import FeaturePyramid
from vitmm.models.necks.mae_decoder import mae_decoder
from vitmm.models.necks.map_norm import MapNorm
from vitmm.models.necks.simple_fpn import SimpleFPN
from vitmm.models.necks.unet_decoder import UNetDecoder
from vitmm.registry import MODELS

# For the norm_cfg of stock heads: LayerNorm over the channels of a map, as ViTDet's heads have it.
MODELS.register_module(name='LN2d', module=LayerNorm2d)

__all__ = ['FeaturePyramid', 'MapNorm', 'SimpleFPN', 'UNetDecoder', 'mae_decoder']
