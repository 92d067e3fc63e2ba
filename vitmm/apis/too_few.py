"""A head that has no place for a class: torch's words tell nobody, and mmdet has none at all."""

import re
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from vitmm.apis.class_counts import class_counts
from vitmm.apis.metric_names import listed
from vitmm.config.kinds import kind_of
from vitmm.datasets.classes import given_classes
from vitmm.datasets.entries import zero_is_ignored
from vitmm.datasets.errors import DataError
from vitmm.datasets.sources import dataset_class, leaves
from vitmm.datasets.unlisted import unlisted_classes
from vitmm.errors import ConfigError

_SIGNS = re.compile(r'out of (bounds|range)|num_classes|device-side assert')


def refuse_too_few(cfg: Config) -> None:
    """Raise before a training whose config has fewer classes in a head than in the data.

    In mmdet the class behind a head's last means background: such a training would run, and never
    find that class. More classes than the data has harm nothing; :mod:`.check_config` finds them.

    Args:
        cfg: resolved. Data whose classes nothing in it tells pass, and models that learn without.

    Raises:
        ConfigError: names the heads; or an accuracy that counts more classes than there are; or
            classes that nobody has listed.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if said := dataset and unlisted_classes(dataset, cfg.get('default_scope')):
        raise ConfigError(f'{said}.')
    count = _count(dataset, cfg.get('default_scope')) if dataset else 0
    # Some list the class that their masks leave out.
    spare = int(any(map(zero_is_ignored, leaves(dataset)))) if count else 0
    if said := _say(cfg.get('model') or {}, count, spare):
        raise ConfigError(f'{said}.')
    if count == 1 and _compares_one(cfg.get('model') or {}):
        raise ConfigError(
            'the training data has one class, and a segmentation tells classes from one another: '
            'with one there is nothing to learn. List two, in classes.txt beside the masks or in '
            'metainfo.classes: background, 0 in the masks, and the class, 1.'
        )
    scores = _scores(cfg.get('model') or {})
    for one in listed(cfg.get('val_evaluator')):
        best = max(listed(one.get('topk', 1)), default=1)
        if scores and kind_of(one) == 'Accuracy' and best > scores:
            raise ConfigError(
                f'val_evaluator: topk counts the {best} best of the {scores} classes that the head '
                f'has; set it to {scores} or fewer.'
            )


def _compares_one(model: Mapping[str, Any]) -> bool:
    """Whether a head has the probabilities of one class, which is always 1."""
    for _, part, number in class_counts(model):
        losses = listed(part.get('loss_decode'))
        if number == 1 and losses and all(map(_is_softmax, losses)):
            return True
    return False


def _is_softmax(loss: Mapping[str, Any]) -> bool:
    return kind_of(loss) == 'CrossEntropyLoss' and not loss.get('use_sigmoid')


def _scores(model: Mapping[str, Any]) -> int:
    """How many classes a classifier's head tells apart; 0 where its config does not say so."""
    return max((number or 0 for _, _, number in class_counts(model)), default=0)


def _count(dataset: Mapping[str, Any], scope: str | None) -> int:
    """How many classes a data set's config tells of; 0 where it does not."""
    counts = set()
    for leaf in leaves(dataset):
        try:
            names = given_classes(leaf)
            if names is None:
                told = dataset_class(leaf, scope).METAINFO
                # Of panoptic sets a detector has the things only.
                names = told.get('thing_classes') or told.get('classes') or ()
        except (DataError, AttributeError):
            return 0
        counts.add(0 if isinstance(names, str) else len(names))
    return min(counts)


def _say(model: Mapping[str, Any], count: int, spare: int = 0) -> str | None:
    few = [
        f'{".".join(map(str, key))} has {number}'
        for key, _, number in class_counts(model)
        if number is not None and number < count - spare
    ]
    if not few:
        return None
    return (
        f'the training data has {count} classes, and {", ".join(few)}: leave num_classes out of '
        'the options, or set it to ${data.num_classes} in the recipe'
    )


def too_few_classes(runner: Runner, error: BaseException) -> str | None:
    """The heads of a model that have fewer classes than the data that it was training on.

    For data that tells its classes only when it is read: :func:`refuse_too_few` knew of none.

    Args:
        runner: whose training failed.
        error: with which; torch says that an index is out of bounds, on a GPU somewhere else than
            where it was.

    Returns:
        What is wrong and what to do; None where it is something else.
    """
    if not isinstance(error, IndexError | RuntimeError) or not _SIGNS.search(str(error)):
        return None
    dataset = getattr(getattr(runner._train_loop, 'dataloader', None), 'dataset', None)
    count = len((getattr(dataset, 'metainfo', None) or {}).get('classes') or ())
    said = _say(runner.cfg.get('model') or {}, count)
    return said and f'{said}. ({error})'
