"""What every check looks at, and what it finds."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from vitmm.config.origin import Key, Origins

LOG = logging.getLogger('vitmm.check_config')


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a config.

    Attributes:
        kind: the check that found it; ``# check_config: allow KIND`` in its line says that it is
            meant.
        key: the dotted key that it is about.
        file: where that key is said; ``--cfg-options`` for the command line.
        line: of the file, from 1; None where it is not known.
        what: what is wrong.
        remedy: what to do.
    """

    kind: str
    key: str
    file: str
    line: int | None
    what: str
    remedy: str

    def __str__(self) -> str:
        place = f'{self.file}:{self.line}' if self.line else self.file
        return f'{place}: {self.what}: {self.remedy}'


@dataclass
class Case:
    """A config under examination.

    Attributes:
        path: its file.
        raw: as it is loaded, its holes still open.
        origins: where its keys were said.
        options: ``--cfg-options``.
        processes: how many will train.
        config: resolved; empty until it is.
        told: whether the data itself told the classes that the holes were filled with.
        findings: what has been found so far.
    """

    path: Path
    raw: dict[str, Any]
    origins: Origins
    options: Mapping[str, Any]
    processes: int
    config: Config = field(default_factory=Config)
    told: bool = True
    findings: list[Finding] = field(default_factory=list)
    noted: set[tuple[str, Key]] = field(default_factory=set)

    @property
    def scope(self) -> str | None:
        return self.raw.get('default_scope')

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """The resolved config in plain dicts, or what was loaded where there is none."""
        return self.config.to_dict() or self.raw

    def say(self, kind: str, key: Key, what: str, remedy: str) -> None:
        """Note a finding at the place where ``key`` was said."""
        place = self.origins.find(key)
        dotted = '.'.join(map(str, key))
        found = Finding(kind, dotted, place.file, place.line, what, remedy)
        key = self.origins.follow(key)  # through holes one key is in several places
        if (kind, key) not in self.noted and not _allowed(found):
            self.noted.add((kind, key))
            self.findings.append(found)

    def get(self, *key: str | int) -> Any:
        """The resolved value under a key; None where there is none."""
        value: Any = self.config
        for step in key:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError, AttributeError):
                return None
        return value

    @cached_property
    def model(self) -> nn.Module | None:
        """The model without memory where that is possible; None if it cannot be built."""
        settings = _light(self.config.get('model') or {})
        if not settings:
            return None
        try:
            with quiet():
                init_default_scope(self.scope or 'mmengine')
            try:
                with quiet(), torch.device('meta'):
                    # Some parts are made by torch.Tensor(), which always has memory.
                    return MODELS.build(copy.deepcopy(settings)).to('meta')
            except (RuntimeError, NotImplementedError):  # some compute while they are built
                with quiet():
                    return MODELS.build(settings)
        except Exception as error:  # whatever a class of anybody's raises
            if not self.findings:  # or they say why
                what = f'the model cannot be built ({type(error).__name__}: {error})'
                self.say('model', ('model',), what, 'see the message')
            return None


def walk(value: Any, key: Key = ()) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    """Every dict inside ``value``, with its key."""
    if isinstance(value, Mapping):
        yield key, value
        for name, inner in value.items():
            yield from walk(inner, (*key, name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from walk(inner, (*key, place))


@contextmanager
def quiet() -> Iterator[None]:
    """MMEngine's own messages are not findings."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def _light(settings: Any) -> Any:
    """Without checkpointing of activations, which wants a real device, and without downloads."""
    settings = copy.deepcopy(settings)
    for _, part in walk(settings):
        fetches = str(part.get('type')).endswith('TIMMBackbone')  # mmpretrain's, as it is built
        for switch in ('grad_checkpointing', 'with_cp', *(['pretrained'] if fetches else [])):
            if switch in part:
                part[switch] = False
    return settings


def _allowed(found: Finding) -> bool:
    if found.line is None:
        return False
    lines = Path(found.file).read_text(encoding='utf-8').splitlines()
    line = lines[found.line - 1] if found.line <= len(lines) else ''
    return f'check_config: allow {found.kind}' in line
