"""Metrics that OpenMMLab lacks."""

from vitmm.evaluation.coco_metric import CocoMetric

__all__ = ['CocoMetric']
