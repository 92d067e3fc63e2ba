"""Fill a config's holes, and go on with what can be filled where some cannot."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from vitmm.apis.check_config.case import Case
from vitmm.config import holes, resolve
from vitmm.config.places import Key
from vitmm.config.resolve import describe_data, resolve_in_part
from vitmm.datasets.errors import DataError
from vitmm.datasets.sources import dataset_class, leaves
from vitmm.errors import BackboneError, VitmmError

_SAID_AT = re.compile(r'([\w.]+)(?: = |: )')
_UNBUILT = 'model.backbone cannot be built'
# What checks of anything but the model may meet in place of what a backbone tells.
_STAND_IN = {'channels': [64] * 8, 'strides': [2**n for n in range(1, 9)]}


def fill(case: Case, filename: str) -> None:
    """Resolve the config of a case; ``case.failed`` is why, where it cannot be done whole."""
    config = Config(dict(case.raw), filename=filename)
    asks = '${data.' in str(case.raw)
    try:
        try:
            data = describe_data(config) if asks else {}
        except DataError:
            data, case.told = _stand_in_data(case.raw), False
        case.config = resolve(config, known={'data': data})
    except VitmmError as error:
        case.failed = error
        backbone = (case.raw.get('model') or {}).get('backbone') or {}
        images = backbone.get('in_chans', 3)
        images = images if isinstance(images, int) else 3
        told = {'in_chans': images, 'mean': [0.0] * images, 'std': [1.0] * images}
        known = {'backbone': _STAND_IN | told}
        try:
            known['data'] = describe_data(config, known) if asks else {}
        except VitmmError:
            known['data'], case.told = _stand_in_data(case.raw), False
        case.config = resolve_in_part(config, known)


def say_why(case: Case) -> None:
    """Note that the config does not resolve, where its fault was said last."""
    text = str(case.failed)
    if text.startswith(_UNBUILT) and case.explained('model'):
        return
    text = text.split(' Please check whether')[0]  # MMEngine's advice, of no use here
    case.say('resolve', _key_of(case, text), 'the config does not resolve', text)


def _key_of(case: Case, text: str) -> Key:
    """The key that is at fault; () where nothing tells it."""
    backbone = ('model', 'backbone')
    if text.startswith(_UNBUILT):
        return backbone
    keys: list[Key] = []
    if found := _SAID_AT.match(text):
        key = tuple(int(k) if k.isdigit() else k for k in found[1].split('.'))
        if key[0] in case.raw:
            keys.append(key)
            # The hole, or what it points at and finds otherwise than it was.
            for first, *_ in holes.paths(text.split(': ')[0]):
                at = (*backbone, 'model_name') if first == 'backbone' else (first,)
                keys += [at] if at[0] in case.raw else []
    if not keys:
        keys = [key for key, value in _strings(case.raw) if value and f"'{value}'" in text]
    if not keys and isinstance(case.failed, BackboneError):
        keys = [backbone]
    return case.origins.latest(*keys) if keys else ()


def _strings(value: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(inner, (*key, name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _strings(inner, (*key, place))
    elif isinstance(value, str):
        yield key, value


def _stand_in_data(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Some names to go on with where the data is not there: those of the data set's class."""
    names = _names_of_class(raw)
    weights = [1.0] * (len(names) + 1)
    return {'classes': names, 'num_classes': len(names), 'set_weights': weights}


def _names_of_class(raw: Mapping[str, Any]) -> list[str]:
    dataset = (raw.get('train_dataloader') or {}).get('dataset') or {}
    for leaf in leaves(dataset) if dataset else ():
        try:
            names = dataset_class(leaf, raw.get('default_scope')).METAINFO.get('classes')
        except (DataError, AttributeError, KeyError):
            continue
        if isinstance(names, list | tuple):
            return list(names)
    return ['a class', 'another']
