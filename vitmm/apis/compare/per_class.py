"""Results by class, from the metrics that OpenMMLab has: asked for, then taken apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.evaluation import IoUMetric

from vitmm.registry import METRICS

# What each metric is called by class, and under which key its values come.
_RECALL = ('recall', 'single-label/recall_classwise')
_AP = ('AP', 'multi-label/AP_classwise')


@METRICS.register_module()
class ClasswiseIoU(IoUMetric):
    """mmseg's ``IoUMetric``, which prints the IoU of each class, and here returns it too."""

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Also ``IoU/<class>``, in percent; NaN where the class is nowhere."""
        metrics = super().compute_metrics(results)
        areas = [sum(area) for area in zip(*results, strict=True)]
        found = self.total_area_to_metrics(*areas, ['mIoU'], self.nan_to_num, self.beta)
        for name, value in zip(self.dataset_meta['classes'], found['IoU'], strict=True):
            metrics[f'IoU/{name}'] = 100 * float(value)
        return metrics


def ask(evaluator: Any) -> dict[str, Any]:
    """Options that make an evaluator tell each class, ``{}`` where nothing is known of it.

    Args:
        evaluator: ``test_evaluator`` of a resolved config.
    """
    if not isinstance(evaluator, Mapping):
        return {}
    kind = str(evaluator['type']).rpartition('.')[2]
    if kind == 'CocoMetric':
        return {'classwise': True}
    if kind == 'IoUMetric' and 'mIoU' in evaluator.get('iou_metrics', ['mIoU']):
        return {'type': 'vitmm.ClasswiseIoU'}
    return {}


def more_evaluators(evaluator: Any) -> list[dict]:
    """Metrics to add to an evaluator that cannot tell each class by itself."""
    kind = str(evaluator['type']).rpartition('.')[2] if isinstance(evaluator, Mapping) else ''
    if kind == 'Accuracy':
        return [dict(type='mmpretrain.SingleLabelMetric', items=('recall',), average=None)]
    if kind == 'AveragePrecision':
        return [dict(type='mmpretrain.AveragePrecision', average=None)]
    return []


def take_apart(
    found: Mapping[str, Any], classes: Sequence[str]
) -> tuple[dict[str, float], str | None, dict[str, float]]:
    """Divide what an evaluator returned into metrics of all and values of each class.

    Args:
        found: metrics by name.
        classes: their names, in the data's order.

    Returns:
        The metrics of all classes; what the values by class are, None where there are none; the
        values by class name.
    """
    scores, by_class, what = {}, {}, None
    for name, value in found.items():
        inner = name.rpartition('/')[2]
        for label, key in (_RECALL, _AP):
            if name == key:
                what, by_class = label, dict(zip(classes, value, strict=True))
        if name.startswith('IoU/'):
            what, by_class[name[4:]] = 'IoU', value
        elif inner.endswith('_precision') and inner[: -len('_precision')] in classes:
            by_class[inner[: -len('_precision')]] = value
            # mmdet has one name for both, and masks come last.
            what = 'mask AP' if any('segm' in other for other in found) else 'box AP'
        elif not name.endswith('_classwise') and isinstance(value, int | float):
            scores[name] = value
    return scores, what, by_class
