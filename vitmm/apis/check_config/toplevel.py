"""Keys at the top of a config that nothing reads, pipelines that reach no data loader."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vitmm.apis.bare_model import walk
from vitmm.apis.check_config.case import Case, as_remedy
from vitmm.config.origin import COMMAND_LINE
from vitmm.config.places import Key
from vitmm.config.top_level import check_log_level, names_in, read_keys
from vitmm.errors import ConfigError, did_you_mean

READ = read_keys()
_LOADERS = {'train': ('train',), 'val': ('val',), 'test': ('test', 'val')}


def check_top_level(case: Case) -> None:
    """What the config itself says and nothing reads; ``_base_`` files may offer what is unused."""
    try:
        check_log_level(case.said)
    except ConfigError as error:
        what, _, hint = str(error).partition('. ')
        case.say('keys', ('log_level',), what, as_remedy(hint))
    read = _reachable(case.raw)
    dump = _is_dump(case)
    for key in case.raw:
        place = case.origins.find((key,))
        if key == 'data_root' and place.file == COMMAND_LINE:  # which moves the data
            continue
        ours = place.file == COMMAND_LINE or '_base_' not in Path(place.file).parts
        if key in read or key.startswith('_') or not ours or _read_by_name(case, key, place.file):
            continue
        near = as_remedy(did_you_mean(key, READ, 1, 0.8))
        # A dumped config keeps the names that its recipe had.
        if dump and (not near or key.endswith('_pipeline')):
            continue
        if re.fullmatch(r'(train|val|test)_pipeline', key):
            if not _reaches(case, key):
                _say_pipeline(case, key)
            continue
        what = f"nothing reads '{key}'"
        case.say('keys', (key,), what, _where_instead(case, key) or near or 'take it out')


def check_pipelines(case: Case) -> None:
    """``train_pipeline`` and its like differ from what their data loaders got."""
    for key in ('train_pipeline', 'val_pipeline', 'test_pipeline'):
        if key not in case.config or _reaches(case, key):
            continue
        others = [v for k, v in case.config.items() if k.endswith('_pipeline') and k != key]
        used = [one for split in _LOADERS[key[:-9]] for one in pipelines_of(case, split)]
        if not used or any(pipeline in others for _, pipeline in used):
            continue
        order = case.origins.files
        files = [case.origins.find(one).file for one in ((key,), *(at for at, _ in used))]
        places = [order.index(file) if file in order else len(order) for file in files]
        if _is_dump(case) or places[0] > max(places[1:]):  # said later, or where nothing is later
            _say_pipeline(case, key)


def _say_pipeline(case: Case, key: str) -> None:
    split = key.removesuffix('_pipeline')
    split = split if case.said.get(f'{split}_dataloader') else 'val'
    case.say(
        'pipeline',
        (key,),
        f'{key} does not reach {split}_dataloader, which has another',
        f'set {split}_dataloader.dataset.pipeline to it',
    )


def _reaches(case: Case, key: str) -> bool:
    value = case.said[key]
    splits = _LOADERS[key.removesuffix('_pipeline')]
    return any(value == pipeline for split in splits for _, pipeline in pipelines_of(case, split))


def pipelines_of(case: Case, split: str) -> Iterator[tuple[Key, Any]]:
    """The pipelines of a data loader, ``'train'`` or alike, with their keys."""
    name = f'{split}_dataloader'
    for key, part in walk(case.said.get(name) or {}, (name,)):
        if 'pipeline' in part:
            yield (*key, 'pipeline'), part['pipeline']


def _reachable(raw: Mapping[str, Any]) -> set[str]:
    """The top-level keys that the Runner reads, and those that holes in these lead to."""
    found: set[str] = set()
    ahead = [key for key in READ if key in raw]
    while ahead:
        key = ahead.pop()
        if key not in found:
            found.add(key)
            ahead += [name for name in names_in(raw[key]) if name in raw]
    return found


def _read_by_name(case: Case, key: str, file: str) -> bool:
    """Whether the Python of the file that says it, or of one that inherits from it, reads it."""
    files = case.origins.files
    later = files[files.index(file) :] if file in files else []
    return any(key in case.origins.reads[one] for one in later)


def _where_instead(case: Case, key: str) -> str:
    """Python's names are read where they stand: what a later file says does not reach them."""
    files = [f for f in case.origins.files if key in case.origins.reads[f]]
    if files:
        return f'{files[0]} has read its own value before: set the keys that it goes into'
    return ''


def _is_dump(case: Case) -> bool:
    """Whether it is one plain file, as MMEngine writes resolved configs."""
    (*bases, last) = case.origins.files
    plain = case.origins.reads[last] <= {'dict', 'float', 'None'}
    return not bases and plain and not any(names_in(case.raw))
