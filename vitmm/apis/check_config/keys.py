"""Keys inside the config's dicts that nothing reads."""

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from vitmm.apis.bare_model import walk
from vitmm.apis.check_config.case import Case, as_remedy
from vitmm.apis.check_config.toplevel import READ
from vitmm.apis.signatures import accepted, classes_of
from vitmm.config.places import Key
from vitmm.errors import did_you_mean

_ALWAYS = {'type', '_scope_', '_delete_', 'debug'}  # which mmdet's own bases still have
# What is taken out of a dict before its class is built, by the dict's place in the config.
_TAKEN = (
    (r'(default_hooks|custom_hooks)\.[^.]+', {'priority'}),
    (r'param_scheduler.*', {'convert_to_iter_based', 'begin', 'end', 'by_epoch', 'last_step'}),
    (r'.*norm(_cfg)?', {'requires_grad'}),
    (r'optim_wrapper', {'constructor', 'paramwise_cfg'}),
    (r'visualizer', {'name'}),
    (r'.*init_cfg.*', {'layer', 'override', 'name', 'prefix', 'checkpoint', 'map_location'}),
)
# Built by functions of mmcv that pass on what their class takes by another name.
FREE = re.compile(r'(.*\.)?(conv_cfg|upsample_cfg|padding_cfg|plugins|batch_augments)(\..*)?')
_LOADER = {
    'dataset', 'sampler', 'batch_sampler', 'batch_size', 'collate_fn', 'worker_init_fn',
    'num_batch_per_epoch',
}  # fmt: skip
# Dicts without a type whose keys are names of the user's own.
NAMES = {
    'metainfo', 'data_prefix', 'custom_keys', 'model_kwargs', 'lora', 'hparams', 'backend_args',
    'file_client_args', 'init_kwargs', 'override', 'custom_imports', 'palette', 'init_cfg',
}  # fmt: skip
_REGISTRIES = {
    'dataset': 'dataset', 'datasets': 'dataset', 'pipeline': 'transform',
    'val_evaluator': 'metric', 'test_evaluator': 'metric',
}  # fmt: skip
# Functions that train_cfg is handed to: mask_target, RandomBatchAugment.
_HELPERS = ('structures', 'models.utils.batch_augments')
_STAGES = ('rpn', 'rpn_proposal', 'rcnn')  # of a detector's train_cfg and test_cfg


def check_keys(case: Case) -> None:
    """Keys of dicts with a type that their class does not take, and of others that no code names.

    The resolved config is looked at, or what was loaded if it does not resolve.
    """
    for key, part in walk(case.said):
        first = str(key[0]) if key else ''
        if case.config and not (first in READ or first.endswith('_pipeline')):
            continue  # a part that stands in its place as well
        kind = part.get('type')
        if isinstance(kind, str):
            _check_typed(case, key, part, kind)
        elif first.endswith('_dataloader') and len(key) == 1:
            _claim(case, key, part, _LOADER | accepted(DataLoader), 'a data loader')
        elif key in (('randomness',), ('auto_scale_lr',), ('optim_wrapper', 'paramwise_cfg')):
            _check_section(case, key, part)
        elif key[:1] == ('model',) and len(key) > 1 and not NAMES & set(key):
            _check_untyped(case, key, part)


def _check_typed(case: Case, key: Key, part: Mapping[str, Any], kind: str) -> None:
    dotted = '.'.join(map(str, key))
    if '${' in kind or FREE.fullmatch(dotted):
        return
    where = next((step for step in reversed(key) if isinstance(step, str)), '')
    found = classes_of(kind, case.scope, _REGISTRIES.get(where))
    takes = [accepted(one) for one in found]
    if not takes or None in takes:
        return
    known = set(_ALWAYS).union(*takes, _taken_by_owners(case, key))
    for pattern, names in _TAKEN:
        if re.fullmatch(pattern, dotted):
            known |= names
    _claim(case, key, part, known, kind)


def _taken_by_owners(case: Case, key: Key) -> set[str]:
    """What the classes of the dicts around it name: some take keys out before they build it."""
    kinds = [kind for kind in _types_around(case, key) if isinstance(kind, str)]
    return {w for kind in kinds for module in _modules(case, kind) for w in _strings_of(module)}


def _check_section(case: Case, key: Key, part: Mapping[str, Any]) -> None:
    if key == ('randomness',):
        known = accepted(Runner.set_randomness)
    elif key == ('auto_scale_lr',):
        known = {'enable', 'base_batch_size'}
    else:
        name = case.said['optim_wrapper'].get('constructor', 'DefaultOptimWrapperConstructor')
        modules = _modules(case, name)  # what it may have is written nowhere else
        known = {word for one in modules for word in _words_of(one)} or set(part)
    _claim(case, key, part, known, '.'.join(map(str, key)))


def _check_untyped(case: Case, key: Key, part: Mapping[str, Any]) -> None:
    """A key that no code in question so much as names."""
    names = [step for step in key if isinstance(step, str)]
    if any(isinstance(one, str) and one.endswith('Wrapper') for one in _types_around(case, key)):
        return  # another project's vocabulary
    if names[1] in ('train_cfg', 'test_cfg') and names[-1] in (*names[1:2], *_STAGES):
        if any(f.kind == 'types' and f.key.startswith('model.') for f in case.findings):
            return  # nobody knows what that class would read
        # The classes of the model read these themselves, and hand on only what is inside.
        kinds = [p['type'] for _, p in walk(case.said['model']) if isinstance(p.get('type'), str)]
        modules = {m for kind in kinds for m in _modules(case, kind)}
        modules |= {f'{m.split(".")[0]}.{helper}' for m in modules for helper in _HELPERS}
    else:
        modules = _packages(case)
    words = {word for module in modules for word in _words_of(module)}
    if words:
        _claim(case, key, part, words, f'the code of {".".join(map(str, key))}')


def _types_around(case: Case, key: Key) -> Iterator[Any]:
    """The types of the dicts that the one under ``key`` is in."""
    value: Any = case.said
    for step in key:
        if isinstance(value, Mapping):
            yield value.get('type')
        value = value[step]


def _modules(case: Case, kind: str) -> set[str]:
    """Where the classes of that type and their bases are written."""
    found = classes_of(kind, case.scope)
    bases = [base for one in found for base in (one.__mro__ if inspect.isclass(one) else (one,))]
    own = (base.__module__ for base in bases if base is not object)
    return {name for name in own if not name.startswith('torch.')}


def _claim(
    case: Case,
    key: Key,
    part: Mapping[str, Any],
    known: set[str] | frozenset[str],
    reader: str,
) -> None:
    for name in part:
        if isinstance(name, str) and name not in known and name not in _ALWAYS:
            hint = as_remedy(did_you_mean(name, known, 2, 0.75)) or 'take it out'
            what, at, kind = (
                f"nothing reads '{name}' ({reader} does not)",
                (*key, name),
                (*key, 'type'),
            )
            if 'type' in part and case.origins.latest(at, kind) == kind:  # said over another's keys
                what += f', which {case.origins.find(at)} says'
                hint, at = f'write _delete_=True beside the type, or {hint}', kind
            case.say('keys', at, what, hint)


def _packages(case: Case) -> set[str]:
    scopes = {case.scope or 'mmengine', 'mmengine', 'mmcv', 'vitmm'}
    for _, part in walk(case.said.get('model') or {}):
        kind = part.get('type')
        if isinstance(kind, str) and '.' in kind:
            scopes.add(kind.split('.')[0])
    scopes |= {'mmdet'} if 'mmseg' in scopes else set()  # mmseg's Mask2Former is mmdet's
    return scopes | set((case.raw.get('custom_imports') or {}).get('imports', ()))


@cache
def _strings_of(module: str) -> frozenset[str]:
    """The strings in a module's source that may be keys."""
    return frozenset(w for t in _texts(module) for w in re.findall(r"['\"](\w+)['\"]", t))


@cache
def _words_of(module: str) -> frozenset[str]:
    """What the sources of a package or module name: attributes, parameters and strings."""
    pattern = r"(?<=[.'\"])[A-Za-z_]\w*|[A-Za-z_]\w*(?=\s*[=:,)])"
    return frozenset(word for text in _texts(module) for word in re.findall(pattern, text))


def _texts(module: str) -> Iterator[str]:
    """The sources of a package or module."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in folder.rglob('*.py')]
    for file in files or ([Path(spec.origin)] if Path(spec.origin or '').suffix == '.py' else []):
        if '.mim' not in file.parts:
            yield file.read_text(encoding='utf-8', errors='replace')
