"""A ``type`` that no registry knows, and the names that are near to it."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mmengine.config import Config

from vitmm.errors import did_you_mean

# Which registries a dict is built from, by its place in the config; anywhere else from any.
_PLACES = (
    (r'(default_hooks|custom_hooks)\.[^.]+', ('hook',)),
    (r'(train|val|test)_cfg', ('loop',)),
    (r'(train|val|test)_dataloader(\.datasets?(\.\d+)?)+', ('dataset',)),
    (r'(.*_dataloader\..*pipeline|\w+_pipeline)\.\d+', ('transform',)),
    (r'.*_dataloader\.(batch_)?sampler', ('data sampler',)),
    (r'(val|test)_evaluator(\.metrics)?(\.\d+)?', ('metric', 'evaluator')),
    (r'param_scheduler.*', ('parameter scheduler',)),
    (r'optim_wrapper', ('optim_wrapper',)),
    (r'optim_wrapper(\.\w+)?\.optimizer', ('optimizer',)),
    (r'visualizer', ('visualizer',)),
    (r'(visualizer\.)?vis_backends\.\d+', ('vis_backend',)),
    (r'model', ('model',)),
)
# Parts of a model that a registry builds. What stands elsewhere may be built by other means (nms,
# tokenizers, Albumentations): of that only a name that is nearly a known one is said.
_PARTS = re.compile(
    r'(.*\.)?(backbone|neck|(\w+_)?head|loss(_\w+)?|assigner|sampler|(\w+_)?coder'
    r'|(\w+_)?generator|data_preprocessor|\w+_roi_extractor)(\.\d+)?'
)
_CONSTRUCTOR = ('optimizer wrapper constructor',)
_NO_OPTIMIZER = 'None is not a callable object'  # MMEngine looks at its arguments unasked
_NOT_FOUND = re.compile(r'(\S+) is not in the [\w: ]+ registry')


def unknown_types(config: Mapping[str, Any], scope: str | None) -> Iterator[tuple[tuple, str, str]]:
    """What no registry has under the name that the config gives it.

    Args:
        config: plain dicts; a type that is a hole still passes.
        scope: its ``default_scope``.

    Yields:
        The key, ending in ``'type'`` or ``'constructor'``, what is wrong, and names that are near
        (``''`` for none).
    """
    from vitmm.apis.bare_model import walk  # heavy, as all that knows registries
    from vitmm.apis.signatures import classes_of

    for key, part in walk(config):
        dotted = '.'.join(map(str, key))
        for name, kinds in (('type', _kinds(dotted)), ('constructor', _CONSTRUCTOR)):
            given = part.get(name)
            if not isinstance(given, str) or '${' in given:
                continue
            if name == 'constructor' and dotted != 'optim_wrapper':
                continue
            inner = _scope_at(config, key, scope)
            if not any(classes_of(given, inner, kind) for kind in kinds or (None,)):
                if not kinds and not _PARTS.fullmatch(dotted) and not _near(given, (), inner, 0.88):
                    continue
                what = f"no {kinds[0] if kinds else 'registry'} {_KNOWS[bool(kinds)]} '{given}'"
                yield (*key, name), what, _near(given, kinds, inner)


_KNOWS = {True: 'is called', False: 'knows'}


def explain_unknown(config: Config, error: BaseException) -> str | None:
    """A registry's error as one message, with the key and names that are near."""
    found = _NOT_FOUND.search(str(error.args[0])) if error.args else None
    unasked = isinstance(error, TypeError) and str(error) == _NO_OPTIMIZER
    if not unasked and not (isinstance(error, KeyError) and found):
        return None
    for key, what, near in unknown_types(config.to_dict(), config.get('default_scope')):
        value: Any = config
        for step in key:
            value = value[step]
        if value == found[1] if found else key[0] == 'optim_wrapper':
            return f'{".".join(map(str, _as_written(key, config)))}: {what}.{near}'
    return None


def _as_written(key: tuple, config: Config) -> tuple:
    """The key before test-time augmentation put the model of ``tta_model`` around the model."""
    if key[0] != 'model' or 'module' not in config.model or 'tta_model' not in config:
        return key
    return ('model', *key[2:]) if key[1] == 'module' else ('tta_model', *key[1:])


def _kinds(dotted: str) -> tuple[str, ...]:
    return next((kinds for pattern, kinds in _PLACES if re.fullmatch(pattern, dotted)), ())


def _scope_at(config: Mapping[str, Any], key: tuple, scope: str | None) -> str | None:
    """The scope that the dict under ``key`` is built in."""
    value: Any = config
    for step in (None, *key):
        value = value if step is None else value[step]
        if isinstance(value, Mapping) and isinstance(value.get('_scope_'), str):
            scope = value['_scope_']
    return scope


def _near(name: str, kinds: tuple[str, ...], scope: str | None, cutoff: float = 0.6) -> str:
    known = {one for kind in kinds or (None,) for one in _names(kind, scope)}
    return did_you_mean(name, known, limit=3, cutoff=cutoff)


@cache
def _names(kind: str | None, scope: str | None) -> frozenset[str]:
    """What a config of that scope may write: its own names, MMEngine's, others' with a scope."""
    from vitmm.apis.signatures import REGISTRIES

    names: set[str] = set()
    for root in REGISTRIES:
        if kind in (None, root.name):
            names |= set(root.module_dict)
            for child in root.children.values():
                own = child.scope == scope
                names |= {n if own else f'{child.scope}.{n}' for n in child.module_dict}
    return frozenset(names)
