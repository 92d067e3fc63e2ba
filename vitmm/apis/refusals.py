"""What a class of the config refuses when it is built, said by the key that is at fault."""

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from torch.utils.data import DataLoader

from vitmm.apis.unknown_types import explain_unknown
from vitmm.errors import ConfigError, VitmmError, did_you_mean, reason

_UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(
    r'(\w+)\.__init__\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.+)'
)
_LIBRARIES = {'torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain'}
_PASSED = {*_LIBRARIES, 'vitmm', 'contextlib'}
_NOT_INSTALLED = re.compile(r'(\w+) is not installed')


@contextmanager
def refusals_explained(cfg: Config, options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Turn what a class says of its keywords and values into one message with the key.

    That is a keyword that it does not take or that is missing, where the config has such a dict;
    and whatever the ``__init__`` of a class raises by itself, where an option set a value of its
    dict or the class is none of the user's own; and a type that no registry knows, or a package
    that is not installed. Any other error passes as it is, with its traceback.

    Args:
        cfg: the resolved config.
        options: ``{'dotted.key': value}``, as given.

    Raises:
        ConfigError: the message.
    """
    options = options or {}
    try:
        yield
    except VitmmError:
        raise
    except KeyError as error:
        message = explain_unknown(cfg, error)
        if message is None:
            raise
        raise ConfigError(message) from error
    except (ImportError, RuntimeError) as error:
        message = _of_packages(cfg, error)
        if message is None:
            raise
        raise ConfigError(message) from error
    except (TypeError, ValueError, AssertionError) as error:
        message = explain_unknown(cfg, error)
        message = message or _of_keywords(cfg, options, str(error))
        message = message or _of_values(cfg, options, error) or _of_groups(str(error))
        if message is None:
            raise
        raise ConfigError(message) from error


def _of_groups(text: str) -> str | None:
    if 'state dict' not in text or 'parameter group' not in text:  # as torch says it
        return None
    return (
        "The checkpoint's optimiser has its parameters in other groups than the config's: to go on "
        'with --resume, optim_wrapper.constructor and paramwise_cfg must be as they were; '
        'load_from=CHECKPOINT instead begins anew from its weights.'
    )


def _of_keywords(cfg: Config, options: Mapping[str, Any], text: str) -> str | None:
    if found := _UNEXPECTED.search(text):
        name, word = found.groups()
        for key, part, cls in _built_by(cfg, name):
            if word == '_delete_' and word in part:
                return f'{_dotted(key, word)}: no base says anything here: leave it out.'
            if word in part:
                known = _keywords_of(cls)
                near = did_you_mean(word, known - part.keys(), limit=2)
                # The right one may be there as well, from a base.
                near = near or did_you_mean(word, known, limit=2, cutoff=0.75)
                if not near and _dotted(key, word) not in options:
                    near = f' {_dotted(key, "_delete_")}=True drops what a base sets there.'
                return f'{_dotted(key, word)}: {cls.__name__} takes no {word}.{near}'
    elif found := _MISSING.search(text):
        name, words = found[1], re.findall(r"'(\w+)'", found[2])
        for key, part, cls in _built_by(cfg, name):
            if not set(words) & part.keys():
                return f'{_dotted(key)}: {cls.__name__} needs {" and ".join(words)} as well.'
    return None


def _of_packages(cfg: Config, error: Exception) -> str | None:
    """A package that a class misses as it is built: some raise a RuntimeError themselves."""
    if not isinstance(error, ModuleNotFoundError) and 'install' not in str(error):
        return None
    for cls, _ in _beginning(error):
        for key, _, _ in _built_by(cfg, cls.__name__):
            told = _NOT_INSTALLED.fullmatch(str(error))
            way = f': pip install {told[1]}.' if told else ''
            return f'{_dotted(key)}: {cls.__name__} needs a package that is missing: {error}{way}'
    return None


def _of_values(cfg: Config, options: Mapping[str, Any], error: Exception) -> str | None:
    beginning = _beginning(error)
    for cls, _ in beginning:
        for key, _, _ in _built_by(cfg, cls.__name__):
            said = [f'{o}={v}' for o, v in options.items() if o.rpartition('.')[0] == _dotted(key)]
            if said:
                return f'{" ".join(said)}: {cls.__name__} does not take that ({reason(error)}).'
    if isinstance(error, TypeError) or not _of_libraries(error):
        return None
    for cls, given in beginning:
        keys = [key for key, part, _ in _built_by(cfg, cls.__name__) if _fits(part, given)]
        # Pipelines are written at the top, and stand in the loaders as well.
        keys = [key for key in keys if key[0].endswith('_pipeline')] or keys
        if keys:
            places = ' or '.join(map(_dotted, keys))
            return f'{places}: {cls.__name__} does not take that ({reason(error)}).'
    return None


def _of_libraries(error: Exception) -> bool:
    """Whether a library refused something, and no code of the user's asked it to."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    # Behind this module and the function that asks it for explanations.
    owners = [str(frame.f_globals.get('__name__')).partition('.')[0] for frame in frames[2:]]
    return bool(owners) and owners[-1] in _LIBRARIES and {*owners} <= _PASSED


def _fits(part: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a class that was given these arguments may have got them from this dict."""
    built = {key for key, value in part.items() if isinstance(value, Mapping)}
    if 'batch_sampler' in built:  # of a data loader, which MMEngine gives no size then
        built.add('batch_size')
    plain = {key: value for key, value in part.items() if key in given and key not in built}
    return all(repr(given[key]) == repr(value) for key, value in plain.items())


def _beginning(error: Exception) -> list[tuple[type, Mapping[str, Any]]]:
    """The classes whose ``__init__`` raised it itself, from the innermost out, with its names."""
    found = []
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code.co_name != '__init__' or 'self' not in frame.f_locals:
            break
        found.append((type(frame.f_locals['self']), frame.f_locals))
    return found


def _built_by(cfg: Config, name: str) -> Iterator[tuple[tuple, Mapping[str, Any], type]]:
    """The dicts of the config that a class of that name, or one that inherits from it, is of."""
    from vitmm.apis.bare_model import walk  # heavy, and wanted after an error only
    from vitmm.apis.signatures import class_made_by, classes_of

    scope = cfg.get('default_scope')
    for key, part in walk(cfg.to_dict()):
        kind = part.get('type')
        if isinstance(kind, str):
            classes = classes_of(kind, scope)
        elif kind is not None:
            classes = (kind,)
        elif len(key) == 1 and key[0].endswith('_dataloader'):
            classes = (DataLoader,)
        elif key in (('train_cfg',), ('val_cfg',), ('test_cfg',)):
            classes = classes_of(name, 'mmengine', 'loop')  # the Runner chooses one
        else:
            continue
        for cls in filter(inspect.isclass, map(class_made_by, classes)):
            if name in (base.__name__ for base in cls.__mro__):
                yield key, part, cls


def _keywords_of(cls: type) -> set[str]:
    from vitmm.apis.signatures import accepted

    return set(accepted(cls) or ()) - {'runner', 'dataloader', 'params'}  # not the config's


def _dotted(key: tuple, *more: str) -> str:
    return '.'.join(map(str, (*key, *more)))
