"""Classes that differ between data sets and heads."""

from collections.abc import Mapping
from typing import Any

from vitmm.apis.check_config.case import Case
from vitmm.apis.class_counts import class_counts
from vitmm.config.places import Key
from vitmm.datasets.classes import given_classes, read_classes
from vitmm.datasets.errors import DataError, MissingError
from vitmm.datasets.sources import dataset_class, leaves, read_source
from vitmm.datasets.unlisted import unlisted_classes


def check_classes(case: Case) -> None:
    """Compare the classes of all data sets with each other, and with every head's number."""
    found = {}
    for split in ('train', 'val', 'test'):
        key = (f'{split}_dataloader', 'dataset')
        if said := case.get(*key) and unlisted_classes(case.get(*key), case.scope):
            case.say('classes', key, *said.rsplit(': ', 1))
            return
        classes = _classes(case, case.get(*key))
        if classes:
            found[key] = classes
    if not found:
        return
    first, *others = found
    for other in others:
        if found[other] != found[first]:
            case.say(
                'classes',
                (*other, 'metainfo', 'classes'),
                f'{other[0]} has other classes ({_show(found[other])}) than {first[0]} '
                f'({_show(found[first])})',
                'give both the same, in the same order',
            )
        else:
            _check_files(case, other)
    count = len(found[first])
    for key, part, number in class_counts(case.get('model') or {}):
        if number is not None and number != count:
            name = 'num_classes' if 'num_classes' in part else 'num_things_classes'
            case.say(
                'classes',
                (*key, name),
                f'{".".join(map(str, key))} has {number} classes, and the data {count} '
                f'({_show(found[first])})',
                f'set {name} to {count}, or to ${{data.num_classes}}',
            )
        weights = part.get('class_weight')
        if isinstance(weights, list | tuple) and len(weights) not in (count, count + 1):
            case.say(
                'classes',
                (*key, 'class_weight'),
                f'class_weight has {len(weights)} numbers for {count} classes',
                'give one for each class (and one for no object in losses over queries)',
            )


def _check_files(case: Case, key: Key) -> None:
    """Whether the files of a data set, where they are there, have the classes of its config."""
    dataset = case.get(*key)
    try:
        if case.told and all(read_source(one, case.scope).labelled for one in leaves(dataset)):
            read_classes(dataset, case.scope)
    except MissingError:  # which training says
        return
    except (DataError, OSError) as error:
        case.say('classes', key, f'the classes of {key[0]} cannot be used', str(error))


def _classes(case: Case, dataset: Any) -> tuple[str, ...] | None:
    """The names, as far as anything on this machine tells them."""
    if not dataset:
        return None
    try:
        given = [given_classes(leaf) for leaf in leaves(dataset)]
        if all(given):
            told = case.told or not _asks_data(case.raw)
            return given[0] if told else None
        return tuple(read_classes(dataset, case.scope))
    except (DataError, OSError):
        pass
    try:
        names = [
            dataset_class(leaf, case.scope).METAINFO.get('classes') for leaf in leaves(dataset)
        ]
    except (DataError, AttributeError):
        return None
    return tuple(names[0]) if names and isinstance(names[0], list | tuple) else None


def _asks_data(raw: Mapping[str, Any]) -> bool:
    return '${data.' in str({k: v for k, v in raw.items() if k.endswith('_dataloader')})


def _show(names: tuple[str, ...]) -> str:
    shown = ', '.join(names[:4])
    return f'{shown}, … {len(names)} in all' if len(names) > 4 else shown
