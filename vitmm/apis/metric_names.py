"""What a config's evaluator will call its figures, and hooks that wait for one of another name."""

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from vitmm.errors import ConfigError, did_you_mean

_COCO = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
_LVIS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf')
_DEPTH = ('d1', 'd2', 'd3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog')
_IOU = {'mIoU': ('mIoU', 'mAcc'), 'mDice': ('mDice', 'mAcc')}
OF_CLASSES = ('_precision', '_classwise')  # whose names have a class's, or whose values are several
_IOU['mFscore'] = ('mFscore', 'mPrecision', 'mRecall')


def metric_names(config: Mapping[str, Any], split: str = 'val') -> list[str] | None:
    """All names that the config's validation will give; None where one metric's are not known.

    Args:
        config: resolved.
        split: ``'test'`` for those that its test will give.
    """
    found: list[str] = []
    for one in listed(config.get(f'{split}_evaluator')):
        names = _names_of(one, config) if isinstance(one, Mapping) else None
        if names is None:
            return None
        found += names
    return found or None


def wanted_metrics(config: Mapping[str, Any]) -> Iterator[tuple[tuple, str]]:
    """The names that hooks and schedules wait for, with their keys; ``'auto'`` is none."""
    hooks = config.get('default_hooks') or {}
    for key, hook in (
        *((('default_hooks', name), hook) for name, hook in hooks.items()),
        *((('custom_hooks', n), hook) for n, hook in enumerate(listed(config.get('custom_hooks')))),
    ):
        hook = hook if isinstance(hook, Mapping) else {}
        for name in listed(hook.get('save_best')):
            if isinstance(name, str) and name != 'auto':
                yield (*key, 'save_best'), name
        if str(hook.get('type')).endswith('EarlyStoppingHook') and hook.get('monitor'):
            yield (*key, 'monitor'), hook['monitor']
    for number, one in enumerate(listed(config.get('param_scheduler'))):
        if isinstance(one, Mapping) and 'ReduceOnPlateau' in str(one.get('type')):
            yield ('param_scheduler', number, 'monitor'), one.get('monitor', 'loss')


def unknown_metrics(config: Mapping[str, Any]) -> Iterator[tuple[tuple, str, str]]:
    """Hooks that wait for a name which the validation will not give, where all its are known.

    Yields:
        The key, what is wrong, and what to do.
    """
    known = metric_names(config)
    for key, name in wanted_metrics(config) if known else ():
        if name not in known and not name.endswith(OF_CLASSES):
            whole = [n for n in known if n.endswith(f'/{name}')]
            near = f'Did you mean {", ".join(whole)}?' if whole else ''
            hint = near or did_you_mean(name, known, limit=3).strip()
            what = f"{key[-1]}='{name}' is no metric of val_evaluator"
            yield key, what, hint or f'It gives {", ".join(known)}.'


def refuse_unknown_metrics(config: Config) -> None:
    """Raise before a training whose validation or test would fail, or never be heard.

    Raises:
        ConfigError: names the key, and what there is.
    """
    plain = config.to_dict()
    for key, what, hint in [*masks_missing(plain), *unknown_metrics(plain)]:
        raise ConfigError(f'{".".join(map(str, key[:-1]))}: {what}. {hint}')


def missing_metric(config: Config, error: BaseException) -> str | None:
    """What a hook or schedule has not found among a validation's figures; None if it is not that.

    For metrics whose names nobody knows before.
    """
    if not isinstance(error, KeyError | RuntimeError):
        return None
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        metrics = frame.f_locals.get('metrics')
        if not isinstance(metrics, Mapping):
            continue
        for key, name in wanted_metrics(config.to_dict()):
            if name in str(error) and name not in metrics:
                near = did_you_mean(name, metrics, limit=3)
                return (
                    f"{'.'.join(map(str, key))}: the validation gives no '{name}', but "
                    f'{", ".join(metrics)}.{near}'
                )
    return None


def masks_missing(config: Mapping[str, Any]) -> Iterator[tuple[tuple, str, str]]:
    """Evaluators of masks for a detector that predicts none; as :func:`unknown_metrics`."""
    for split in ('val', 'test'):
        given = config.get(f'{split}_evaluator')
        for number, one in enumerate(listed(given)):
            if isinstance(one, Mapping) and 'segm' in listed(one.get('metric')):
                place = (number,) if isinstance(given, list | tuple) else ()
                if gives_masks(config.get('model'), config.get('default_scope')) is False:
                    what = "metric asks for 'segm', and the model predicts no masks"
                    key = (f'{split}_evaluator', *place, 'metric')
                    yield key, what, "Set it to 'bbox', or take a model with masks."


def gives_masks(model: Mapping[str, Any] | None, scope: str | None) -> bool | None:
    """Whether a detector predicts masks; None where its class is none of those that are known."""
    from vitmm.apis.signatures import classes_of

    if not model or not isinstance(model.get('type'), str):
        return None
    if any(word in str(model) for word in ('mask_head', 'Mask', 'panoptic', 'Ins', 'Seg')):
        return None
    found = classes_of(model['type'], scope, 'model')
    bases = {base.__name__ for one in found if inspect.isclass(one) for base in one.__mro__}
    known = {'TwoStageDetector', 'SingleStageDetector', 'DetectionTransformer'}
    return False if known & bases else None


def _names_of(one: Mapping[str, Any], config: Mapping[str, Any]) -> list[str] | None:
    from vitmm.apis.signatures import class_made_by, classes_of

    found = classes_of(str(one.get('type')), config.get('default_scope'), 'metric')
    made = class_made_by(found[0]) if found else None
    if not inspect.isclass(made) or one.get('format_only'):
        return None
    # One that inherits and computes by itself may give others; ours give what mmdet's give.
    kind, ours = made.__name__, made.__module__.startswith(('mm', 'vitmm.'))
    if not ours or kind not in _KINDS:
        return None
    try:
        names = _KINDS[kind](one)
    except (KeyError, TypeError, ValueError):  # values that the metric will not take either
        return None
    if kind in ('CocoMetric', 'LVISMetric') and one.get('metric', 'bbox') is None:
        masks = gives_masks(config.get('model'), config.get('default_scope'))
        names = [n for n in names if masks is not False or not n.startswith('segm')]
    prefix = one.get('prefix') or made.default_prefix
    return [f'{prefix}/{name}' if prefix else name for name in names]


def _boxes(items: tuple[str, ...], proposals: tuple[str, ...]) -> Callable:
    def names(one: Mapping[str, Any]) -> list[str]:
        found: list[str] = []
        for metric in listed(one.get('metric', 'bbox')) or ['bbox', 'segm']:
            own = one.get('metric_items')
            if metric == 'proposal_fast':
                found += [f'AR@{n}' for n in one.get('proposal_nums') or (100, 300, 1000)]
            elif metric == 'proposal':
                found += own or proposals
            else:
                found += [f'{metric}_{item}' for item in own or items]
        return found

    return names


def _voc(one: Mapping[str, Any]) -> list[str] | None:
    thresholds = listed(one.get('iou_thrs', 0.5))
    if listed(one.get('metric', 'mAP')) != ['mAP']:
        raise ValueError('recalls have many names')
    return ['mAP', *(f'AP{int(t * 100):02d}' for t in thresholds)]


def _suffixes(thresholds: Any) -> list[str]:
    given = list(thresholds) if isinstance(thresholds, list | tuple) else [thresholds]
    if len(given) < 2:
        return ['']
    return ['_no-thr' if t is None else f'_thr-{t:.2f}' for t in given]


def _accuracy(one: Mapping[str, Any]) -> list[str]:
    ks = listed(one.get('topk', 1))
    return [f'top{k}{suffix}' for k in ks for suffix in _suffixes(one.get('thrs', 0.0))]


def _labels(one: Mapping[str, Any], suffixes: list[str]) -> list[str]:
    average = one.get('average', 'macro')
    end = {None: '_classwise', 'macro': ''}.get(average, f'_{average}')
    items = one.get('items', ('precision', 'recall', 'f1-score'))
    return [f'{item}{suffix}{end}' for item in items for suffix in suffixes]


def _multi(one: Mapping[str, Any]) -> list[str]:
    threshold, k = one.get('thr'), one.get('topk')
    if threshold is None and k is not None:
        return _labels(one, [f'_top{k}'])
    plain = threshold in (None, 0.5)
    return _labels(one, ['' if plain else f'_thr-{threshold:.2f}'])


_KINDS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    'CocoMetric': _boxes(
        _COCO, ('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')
    ),
    'LVISMetric': _boxes(_LVIS, ('AR@300', 'ARs@300', 'ARm@300', 'ARl@300')),
    'VOCMetric': _voc,
    'Accuracy': _accuracy,
    'SingleLabelMetric': lambda one: _labels(one, _suffixes(one.get('thrs', 0.0))),
    'MultiLabelMetric': _multi,
    'AveragePrecision': lambda one: ['mAP' if one.get('average', 'macro') else 'AP_classwise'],
    'IoUMetric': lambda one: [
        'aAcc', *(n for m in listed(one.get('iou_metrics', 'mIoU')) for n in _IOU[m])
    ],
    'DepthMetric': lambda one: list(one.get('depth_metrics') or _DEPTH),
}  # fmt: skip


def listed(value: Any) -> list[Any]:
    """What a config gives as one or as several, as several; None is none."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
