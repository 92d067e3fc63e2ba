"""Keys inside the config's dicts that nothing reads."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from vitmm.apis.check_config.case import Case, walk
from vitmm.apis.check_config.signatures import accepted, classes_of
from vitmm.config.origin import Key
from vitmm.errors import did_you_mean

_ALWAYS = {'type', '_scope_', '_delete_'}
# What is taken out of a dict before its class is built, by the dict's place in the config.
_TAKEN = (
    (r'(default_hooks|custom_hooks)\.[^.]+', {'priority'}),
    (r'param_scheduler\..*', {'convert_to_iter_based', 'begin', 'end', 'by_epoch', 'last_step'}),
    (r'.*norm(_cfg)?', {'requires_grad'}),
    (r'optim_wrapper', {'constructor', 'paramwise_cfg'}),
    (r'visualizer', {'name'}),
    (r'.*init_cfg.*', {'layer', 'override', 'name', 'prefix', 'checkpoint', 'map_location'}),
)
# Built by functions of mmcv that pass on what their class takes by another name.
_FREE = re.compile(r'(.*\.)?(conv_cfg|upsample_cfg|padding_cfg|plugins|batch_augments)(\..*)?')
_LOADER = {
    'dataset', 'sampler', 'batch_sampler', 'batch_size', 'collate_fn', 'worker_init_fn',
    'num_batch_per_epoch',
}  # fmt: skip
# Dicts without a type whose keys are names of the user's own.
_NAMES = {
    'metainfo', 'data_prefix', 'custom_keys', 'model_kwargs', 'lora', 'hparams', 'backend_args',
    'file_client_args', 'init_kwargs', 'override', 'custom_imports', 'palette', 'init_cfg',
}  # fmt: skip


def check_keys(case: Case) -> None:
    """Keys of dicts with a type that their class does not take, and of others that no code names.

    The config is looked at as it is written, its holes open, so that every key counts once.
    """
    for key, part in walk(case.raw):
        kind = part.get('type')
        if isinstance(kind, str):
            _check_typed(case, key, part, kind)
        elif key and str(key[0]).endswith('_dataloader') and len(key) == 1:
            _claim(case, key, part, _LOADER | accepted(DataLoader), 'a data loader')
        elif key in (('randomness',), ('auto_scale_lr',), ('optim_wrapper', 'paramwise_cfg')):
            _check_section(case, key, part)
        elif key[:1] == ('model',) and not _NAMES & set(key):
            _check_untyped(case, key, part)


def _check_typed(case: Case, key: Key, part: Mapping[str, Any], kind: str) -> None:
    dotted = '.'.join(map(str, key))
    if '${' in kind or _FREE.fullmatch(dotted):
        return
    found = classes_of(kind, case.scope)
    takes = [accepted(one) for one in found]
    if not takes or None in takes:
        return
    known = set(_ALWAYS).union(*takes)
    for pattern, names in _TAKEN:
        if re.fullmatch(pattern, dotted):
            known |= names
    _claim(case, key, part, known, kind)


def _check_section(case: Case, key: Key, part: Mapping[str, Any]) -> None:
    if key == ('randomness',):
        known = accepted(Runner.set_randomness)
    elif key == ('auto_scale_lr',):
        known = {'enable', 'base_batch_size'}
    else:
        name = case.raw['optim_wrapper'].get('constructor', 'DefaultOptimWrapperConstructor')
        sources = [base for one in classes_of(name, case.scope) for base in one.__mro__[:-1]]
        known = {word for one in sources for word in _words_of(one.__module__)}
        # What a paramwise_cfg may have is written nowhere else than in its constructor.
        known |= set(part) if not sources else set()
    _claim(case, key, part, known, '.'.join(map(str, key)))


def _check_untyped(case: Case, key: Key, part: Mapping[str, Any]) -> None:
    """A key that no code of the packages in use so much as names."""
    words: set[str] = set()
    for package in _packages(case):
        words |= _words_of(package)
    if words:
        _claim(case, key, part, words, f'no code behind {".".join(map(str, key))}', suggest=False)


def _claim(
    case: Case,
    key: Key,
    part: Mapping[str, Any],
    known: set[str] | frozenset[str],
    reader: str,
    suggest: bool = True,
) -> None:
    for name in part:
        if not isinstance(name, str) or name in known or name in _ALWAYS:
            continue
        siblings = known if suggest else {word for word in known if abs(len(word) - len(name)) < 4}
        hint = did_you_mean(name, siblings, limit=3).strip()
        who = reader if reader.startswith('no code') else f'{reader} does not read it'
        who = f'{reader} reads it' if reader.startswith('no code') else who
        case.say('keys', (*key, name), f"nothing reads '{name}' ({who})", hint or 'take it out')


def _packages(case: Case) -> set[str]:
    scopes = {case.scope or 'mmengine', 'mmengine', 'mmcv', 'vitmm'}
    for _, part in walk(case.raw.get('model') or {}):
        kind = part.get('type')
        if isinstance(kind, str) and '.' in kind:
            scopes.add(kind.split('.')[0])
    scopes |= {'mmdet'} if 'mmseg' in scopes else set()  # mmseg's Mask2Former is mmdet's
    return scopes | set((case.raw.get('custom_imports') or {}).get('imports', ()))


@cache
def _words_of(module: str) -> frozenset[str]:
    """What the sources of a package or module name: attributes, parameters and strings."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return frozenset()
    folders = spec.submodule_search_locations
    files = [f for folder in folders for f in Path(folder).rglob('*.py')] if folders else []
    files = files or ([Path(spec.origin)] if spec.origin else [])
    words: set[str] = set()
    for file in files:
        if '.mim' not in file.parts:
            text = file.read_text(encoding='utf-8', errors='replace')
            words.update(re.findall(r"(?<=[.'\"])[A-Za-z_]\w*|[A-Za-z_]\w*(?=\s*[=:,)])", text))
    return frozenset(words)
