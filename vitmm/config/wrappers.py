"""What is said to a wrapped data set reaches the data set, as if it had no wrapper."""

from collections.abc import Mapping
from typing import Any

from vitmm.config.kinds import kind_of

# MMEngine's, which take these and nothing of a data set's own. mmdet's MultiImageMixDataset has a
# pipeline itself and stays as it is.
_WRAPPERS = ('RepeatDataset', 'ClassBalancedDataset', 'ConcatDataset')
_INNER = ('dataset', 'datasets')
_OWN = ('type', '_scope_', 'lazy_init', 'times', 'oversample_thr', 'ignore_keys', 'verify_meta')


def push_inwards(dataset: Any) -> Any:
    """Move what a wrapper does not take into the data sets that it wraps.

    A recipe or the command line then says ``train_dataloader.dataset.pipeline=…`` whether or not
    images are repeated.

    Args:
        dataset: config of a data set, wrapped or not; it is not changed.
    """
    if not isinstance(dataset, Mapping):
        return dataset
    found = dict(dataset)
    inner = next((key for key in _INNER if found.get(key)), None)
    if inner is None or kind_of(found) not in _WRAPPERS:
        return found
    said = {key: found.pop(key) for key in list(found) if key not in (*_INNER, *_OWN)}
    wrapped = found[inner]
    if isinstance(wrapped, list | tuple):
        found[inner] = [push_inwards({**one, **said}) for one in wrapped]
    elif isinstance(wrapped, Mapping):
        found[inner] = push_inwards({**wrapped, **said})
    return found
