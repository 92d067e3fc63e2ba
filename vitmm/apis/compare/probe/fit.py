"""Fitting the linear model to what a loader gives, a part of it held out."""

from collections.abc import Callable, Iterable

import torch
from torch.nn import functional as F

from vitmm.apis.compare.probe.ridge import Ridge
from vitmm.errors import ConfigError

_HELD_OUT = 5  # of so many training batches one chooses the penalty
Pairs = Iterable[tuple[torch.Tensor, torch.Tensor]]


def fit(pairs: Pairs) -> Callable[[torch.Tensor], torch.Tensor]:
    """Fit on pairs of features (N, C) and targets (N, K); return features (…, C) -> (…, K).

    Raises:
        ConfigError: there is no pair.
    """
    ridge = None
    for number, (features, targets) in enumerate(pairs):
        ridge = ridge or Ridge(features.shape[1], targets.shape[1], features.device)
        ridge.add(features, targets, held_out=number % _HELD_OUT == _HELD_OUT - 1)
    if ridge is None:
        raise ConfigError('--mode probe: the training data has nothing labelled.')
    weight, bias = ridge.fit()
    return lambda features: features @ weight + bias


def fit_classes(pairs: Pairs, classes: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Likewise of classes (N,), 0 to K - 1; the largest of the K scores is the class."""
    return fit((features, F.one_hot(labels, classes)) for features, labels in pairs)


def recalls(found: torch.Tensor, truth: torch.Tensor, names: list[str]) -> dict:
    """By class, the percentage of (N,) answers that are right; None where a class is not there."""
    values = {}
    for number, name in enumerate(names):
        mine = truth == number
        values[name] = 100 * float((found[mine] == number).double().mean()) if mine.any() else None
    return {'what': 'recall', 'values': values}
