"""Results by class, from the metrics that OpenMMLab has: asked for, then taken apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.evaluation import IoUMetric

from vitmm.config.kinds import kind_of
from vitmm.registry import METRICS

# What each metric is called by class, and under which key its values come.
_RECALL = ('recall', 'single-label/recall_classwise')
_AP = ('AP', 'multi-label/AP_classwise')
# What tells each class beside a metric that does not.
_BESIDE = {
    'Accuracy': dict(type='mmpretrain.SingleLabelMetric', items=('recall',), average=None),
    'AveragePrecision': dict(type='mmpretrain.AveragePrecision', average=None),
}


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


def ask(evaluator: Any) -> list[dict]:
    """The metrics of a resolved config's evaluator, so that they tell each class where they can.

    Args:
        evaluator: ``test_evaluator``, a metric or a list of them.

    Returns:
        A list of metrics: changed ones, and added ones behind those that tell all classes only.
    """
    found = []
    for one in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        kind = kind_of(one)
        if kind == 'CocoMetric':
            found.append({**one, 'classwise': True})
        elif kind == 'IoUMetric' and 'mIoU' in one.get('iou_metrics', ['mIoU']):
            found.append({**one, 'type': 'vitmm.ClasswiseIoU'})
        else:
            found += [dict(one), *([dict(_BESIDE[kind])] if kind in _BESIDE else [])]
    return found


def take_apart(
    found: Mapping[str, Any], classes: Sequence[str]
) -> tuple[dict[str, float | None], str | None, dict[str, float | None]]:
    """Divide what an evaluator returned into metrics of all and values of each class.

    Args:
        found: metrics by name; None where one is NaN.
        classes: their names, in the data's order.

    Returns:
        The metrics of all classes; what the values by class are, None where there are none; the
        values by class name.
    """
    scores, by_class, what = {}, {}, None
    for name, value in found.items():
        inner = name.partition('/')[2] or name  # without the prefix; a class may have a slash
        for label, key in (_RECALL, _AP):
            if name == key:
                what, by_class = label, dict(zip(classes, value, strict=True))
        if name.startswith('IoU/'):
            what, by_class[name[4:]] = 'IoU', value
        elif inner.endswith('_precision') and inner[: -len('_precision')] in classes:
            by_class[inner[: -len('_precision')]] = value
            # mmdet has one name for both, and masks come last.
            masks = any(other.partition('/')[2].startswith('segm_mAP') for other in found)
            what = 'mask AP' if masks else 'box AP'
        elif not name.endswith('_classwise') and isinstance(value, int | float | None):
            scores[name] = value
    return scores, what, by_class
