"""What every check looks at, and what it finds."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from vitmm.apis.bare_model import bare_model
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
        if not self.config.get('model'):
            return None
        try:
            return bare_model(self.config.model, self.scope)
        except Exception as error:  # whatever a class of anybody's raises
            if not self.findings:  # or they say why
                what = f'the model cannot be built ({type(error).__name__}: {error})'
                self.say('model', ('model',), what, 'see the message')
            return None


def _allowed(found: Finding) -> bool:
    if found.line is None:
        return False
    lines = Path(found.file).read_text(encoding='utf-8').splitlines()
    line = lines[found.line - 1] if found.line <= len(lines) else ''
    return f'check_config: allow {found.kind}' in line
