"""Which keys a config's ``dict(type=…)`` may have: what its class takes."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import mmengine.registry.root as roots
from mmengine.registry import Registry

from vitmm.apis.bare_model import quiet

REGISTRIES = [value for value in vars(roots).values() if isinstance(value, Registry)]


@cache
def classes_of(name: str, scope: str | None, kind: str | None = None) -> tuple[Any, ...]:
    """All that OpenMMLab's registries have under a config's ``type``.

    Args:
        name: ``'mmdet.RetinaHead'``, or without a scope.
        scope: the config's ``default_scope``.
        kind: the name of the one registry to look into, if that is known.
    """
    found: list[Any] = []
    for root in REGISTRIES:
        if kind not in (None, root.name):
            continue
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
        own, rest = _own(callable)
        if own is None or rest == 'none':
            return own
        made = class_made_by(callable)
        inner = None if made is callable else accepted(made)
        return None if inner is None else own | inner
    names: set[str] = set()
    ahead = [cls for cls in callable.__mro__[:-1] if '__init__' in vars(cls)]
    while ahead:
        cls = ahead.pop(0)
        own, rest = _own(cls.__init__)
        if own is None or rest == 'other':
            return None
        names |= own
        if rest == 'none':
            break
        ahead = _after(ahead, callable, rest)
    return frozenset(names - {'self'})


def class_made_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """The class that a function imports to hand its ``**kwargs`` to, or ``function`` itself."""
    tree = None if inspect.isclass(function) else _tree(function)
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.ImportFrom) or node.level or not node.module:
            continue
        for name in node.names:
            makes = (c for c in ast.walk(tree) if isinstance(c, ast.Call))
            if any(
                ast.unparse(c.func).removesuffix('.get_instance') == (name.asname or name.name)
                and any(keyword.arg is None for keyword in c.keywords)
                for c in makes
            ):
                return getattr(import_module(node.module), name.name)
    return function


def _after(ahead: list[type], callable: type, goal: str) -> list[type]:
    """Those of the classes ``ahead`` that ``goal`` leaves: see :func:`_own`."""
    kind, _, name = goal.partition(' ')
    order = [cls.__name__ for cls in callable.__mro__]
    if name not in order:
        return ahead
    skipped = callable.__mro__[: order.index(name) + (kind == 'super')]
    return [cls for cls in ahead if cls not in skipped]


def _own(function: Callable[..., Any]) -> tuple[frozenset[str] | None, str]:
    """Its named parameters, and where ``**kwargs`` go.

    That is 'none' (there are none, or nobody looks at them), 'super', 'super X' (of the class X),
    'base X' (X itself) or 'other'.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None, 'other'
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = frozenset(one.name for one in parameters if one.kind in named)
    rest = next((one.name for one in parameters if one.kind == one.VAR_KEYWORD), None)
    return names, 'none' if rest is None else _where_to(function, rest)


def _where_to(function: Callable[..., Any], rest: str) -> str:
    tree = _tree(function)
    if tree is None:
        return 'other'
    uses = {id(n) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == rest}
    goals, chained = set(), False
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, 'attr', '') == '__init__':
            chained = True
            handed = {id(k.value) for k in call.keywords if k.arg is None} & uses
            uses -= handed
            goals |= {_goal(call.func)} if handed else set()
    if uses or len(goals) > 1 or not chained:  # without, it stands for what is not installed
        return 'other'
    return goals.pop() if goals else 'none'


def _tree(function: Callable[..., Any]) -> ast.Module | None:
    """Its source, parsed; None where there is none."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None


def _goal(function: ast.Attribute) -> str:
    """Whose ``__init__`` it is: of ``super()``, ``super(X, self)`` or ``X``."""
    owner = ast.unparse(function.value)
    if owner.startswith('super('):
        first = owner[6:].split(',')[0].strip(' )')
        return f'super {first}' if first else 'super'
    return f'base {owner}'
