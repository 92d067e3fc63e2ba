"""Which keys a config's ``dict(type=…)`` may have: what its class takes."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

import mmengine.registry.root as roots
from mmengine.registry import Registry

from vitmm.apis.check_config.case import quiet

REGISTRIES = [value for value in vars(roots).values() if isinstance(value, Registry)]


@cache
def classes_of(name: str, scope: str | None) -> tuple[Callable[..., Any], ...]:
    """All that OpenMMLab's registries have under a config's ``type``.

    Args:
        name: ``'mmdet.RetinaHead'``, or without a scope.
        scope: the config's ``default_scope``.
    """
    found = []
    for root in REGISTRIES:
        try:
            with quiet(), root.switch_scope_and_registry(scope) as registry:
                one = registry.get(name)
        except Exception:  # a scope that is not installed
            continue
        if one is not None and one not in found:
            found.append(one)
    return tuple(found)


@cache
def accepted(callable: Callable[..., Any]) -> frozenset[str] | None:
    """The keywords that a class or function takes; None for any.

    ``**kwargs`` are followed up the classes that an ``__init__`` hands them to; where it does
    anything else with them, all keywords may be read.
    """
    if not inspect.isclass(callable):
        return _own(callable)[0] if _own(callable)[1] == 'none' else None
    names: set[str] = set()
    for cls in callable.__mro__:
        if '__init__' not in vars(cls):
            continue
        if cls is object:
            break
        own, rest = _own(cls.__init__)
        if own is None or rest == 'other':
            return None
        names |= own
        if rest == 'none':
            break
    return frozenset(names - {'self', 'args', 'kwargs'})


def _own(function: Callable[..., Any]) -> tuple[frozenset[str] | None, str]:
    """Its named parameters, and where ``**kwargs`` go: 'none', 'super' or 'other'."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None, 'other'
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = frozenset(one.name for one in parameters if one.kind in named)
    rest = next((one.name for one in parameters if one.kind == one.VAR_KEYWORD), None)
    return names, 'none' if rest is None else _where_to(function, rest)


def _where_to(function: Callable[..., Any], rest: str) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return 'other'
    handed = {
        id(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, 'attr', '') == '__init__'
        for keyword in call.keywords
        if keyword.arg is None
    }
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == rest]
    if not uses:
        return 'none'  # swallowed
    return 'super' if all(id(use) in handed for use in uses) else 'other'
