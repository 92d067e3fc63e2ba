"""Evaluators that would fail when they are built: that of the test set after the whole training."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from vitmm.apis.unknown_types import unknown_types
from vitmm.errors import ConfigError, did_you_mean

_EVALUATORS = ('val_evaluator', 'test_evaluator')
_ALWAYS = {'type', '_scope_'}


def refuse_unknown_evaluators(config: Config) -> None:
    """Raise before a training whose validation or test asks for a metric that there is not.

    Types and keywords are looked up, and nothing is built: a metric may read the annotations of a
    test set that lies on another machine.

    Args:
        config: resolved.

    Raises:
        ConfigError: names the key, and types or keywords that are near.
    """
    plain = {key: value for key, value in config.to_dict().items() if key in _EVALUATORS and value}
    scope = config.get('default_scope')
    for key, what, near in unknown_types(plain, scope):
        raise ConfigError(f'{".".join(map(str, key))}: {what}.{near}')
    for key, what, near in _unknown_words(plain, scope):
        raise ConfigError(f'{".".join(map(str, key))}: {what}.{near}')


def _unknown_words(
    config: Mapping[str, Any], scope: str | None
) -> Iterator[tuple[tuple, str, str]]:
    from vitmm.apis.bare_model import walk  # heavy, as all that knows registries
    from vitmm.apis.signatures import accepted, classes_of

    for key, part in walk(config):
        kind = part.get('type')
        found = classes_of(kind, scope, 'metric') if isinstance(kind, str) else ()
        takes = [accepted(one) for one in found]
        if not takes or None in takes or any(map(_swallows, found)):
            continue
        known = _ALWAYS.union(*takes)
        for word in (word for word in part if word not in known):
            yield (*key, word), f'{kind} takes no {word}', did_you_mean(word, known, limit=2)


def _swallows(kind: Any) -> bool:
    """Whether a class takes any keywords and hands them to nobody, as mmseg's IoUMetric does."""
    for cls in inspect.getmro(kind) if inspect.isclass(kind) else ():
        own = vars(cls).get('__init__')
        if inspect.isfunction(own) and inspect.getfullargspec(own).varkw:
            calls = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(own))))
            words = [word for call in calls if isinstance(call, ast.Call) for word in call.keywords]
            if not any(word.arg is None for word in words):
                return True
    return False
