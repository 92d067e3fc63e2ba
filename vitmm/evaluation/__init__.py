"""Metrics that OpenMMLab lacks; each loads its codebase when a config asks for it."""

from typing import Any

from vitmm.registry import METRICS

__all__ = ['accuracy', 'coco_metric', 'depth_metric', 'dump_results', 'lvis_metric']


@METRICS.register_module(name='Accuracy')
def accuracy(*args: Any, **kwargs: Any) -> Any:
    """Build :class:`vitmm.evaluation.accuracy.Accuracy`."""
    from vitmm.evaluation.accuracy import Accuracy

    return Accuracy(*args, **kwargs)


@METRICS.register_module(name='CocoMetric')
def coco_metric(*args: Any, **kwargs: Any) -> Any:
    """Build :class:`vitmm.evaluation.coco_metric.CocoMetric`."""
    from vitmm.evaluation.coco_metric import CocoMetric

    return CocoMetric(*args, **kwargs)


@METRICS.register_module(name='DepthMetric')
def depth_metric(*args: Any, **kwargs: Any) -> Any:
    """Build :class:`vitmm.evaluation.depth_metric.DepthMetric`."""
    from vitmm.evaluation.depth_metric import DepthMetric

    return DepthMetric(*args, **kwargs)


@METRICS.register_module(name='DumpResults')
def dump_results(*args: Any, **kwargs: Any) -> Any:
    """Build :class:`vitmm.evaluation.dump_results.DumpResults`."""
    from vitmm.evaluation.dump_results import DumpResults

    return DumpResults(*args, **kwargs)


@METRICS.register_module(name='LVISMetric')
def lvis_metric(*args: Any, **kwargs: Any) -> Any:
    """Build :class:`vitmm.evaluation.lvis_metric.LVISMetric`."""
    from vitmm.evaluation.lvis_metric import LVISMetric

    return LVISMetric(*args, **kwargs)
