"""Necks: from a backbone's strides to those that a head expects."""

from vitmm.models.necks.feature_pyramid import FeaturePyramid
from vitmm.models.necks.simple_fpn import SimpleFPN

__all__ = ['FeaturePyramid', 'SimpleFPN']
