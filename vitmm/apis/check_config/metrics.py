"""What picks the best checkpoint, what the evaluator reads, and two sources of weights."""

import os
from collections.abc import Mapping
from typing import Any

from vitmm.apis.check_config.case import Case, as_remedy
from vitmm.apis.metric_names import (
    listed,
    masks_missing,
    metric_names,
    unknown_metrics,
    wanted_metrics,
)
from vitmm.apis.signatures import class_made_by, classes_of
from vitmm.datasets.errors import DataError
from vitmm.datasets.sources import leaves, read_source


def check_metrics(case: Case) -> None:
    """Metrics that hooks wait for and no evaluator gives; evaluators of other annotations."""
    for split in ('val', 'test'):
        evaluators = listed(case.get(f'{split}_evaluator') or None)
        for place, one in enumerate(evaluators):
            _check_file(case, split, place, one)
    said = case.said
    for key, what, hint in [*masks_missing(said), *unknown_metrics(said)]:
        case.say('metrics', key, what, as_remedy(hint))
    if metric_names(said) is None:
        _check_prefixes(case)


def _check_prefixes(case: Case) -> None:
    """All that can be said of a metric whose names nobody knows."""
    prefixes = [_prefix(case, one) for one in listed(case.get('val_evaluator') or None)]
    if not prefixes or None in prefixes:
        return
    for key, name in wanted_metrics(case.said):
        prefix, slash, _ = name.rpartition('/')
        if prefix not in prefixes:
            known = ' or '.join(f'{p}/…' if p else 'names without a prefix' for p in prefixes)
            case.say(
                'metrics',
                key,
                f"{key[-1]}='{name}' is no metric of val_evaluator, which gives {known}",
                f"write '{prefixes[0]}/{name}'" if prefixes[0] and not slash else 'name one',
            )


def check_weights(case: Case) -> None:
    """``load_from`` overwrites what ``pretrained`` has loaded."""
    backbone = case.get('model', 'backbone') or {}
    if case.get('load_from') and not case.get('resume') and backbone.get('pretrained'):
        case.say(
            'weights',
            ('load_from',),
            'load_from overwrites the weights of model.backbone.pretrained',
            'set one of them to None',
        )


def _check_file(case: Case, split: str, place: int, evaluator: Mapping[str, Any]) -> None:
    dataset = case.get(f'{split}_dataloader', 'dataset')
    if not evaluator.get('ann_file') or not dataset:
        return
    try:
        sources = [read_source(leaf, case.scope) for leaf in leaves(dataset)]
    except DataError:
        return
    files = [source.ann_file for source in sources if source.kind == 'coco']
    if any(files) and os.path.normpath(evaluator['ann_file']) not in map(os.path.normpath, files):
        key = (f'{split}_evaluator', 'ann_file')
        if isinstance(case.get(f'{split}_evaluator'), list):
            key = (key[0], place, key[1])
        case.say(
            'metrics',
            key,
            f'{split}_evaluator reads {evaluator["ann_file"]}, and {split}_dataloader {files[0]}',
            'give both the same file',
        )


def _prefix(case: Case, evaluator: Mapping[str, Any]) -> str | None:
    """What a metric's names begin with: '' for nothing, None for nobody knows."""
    if evaluator.get('prefix'):
        return evaluator['prefix']
    found = classes_of(str(evaluator.get('type')), case.scope, 'metric')
    made = class_made_by(found[0]) if found else None
    return (made.default_prefix or '') if hasattr(made, 'default_prefix') else None
