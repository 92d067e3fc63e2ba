"""What every check looks at, and what it finds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from vitmm.apis.bare_model import bare_model
from vitmm.config.origin import Origins
from vitmm.config.places import Key
from vitmm.errors import VitmmError, reason


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


class Findings(list[Finding]):
    """What was found.

    Attributes:
        left_out: the checks that could not be made, each with the reason.
    """

    def __init__(self, found: Iterable[Finding] = (), left_out: Iterable[str] = ()) -> None:
        super().__init__(found)
        self.left_out = list(left_out)


@dataclass
class Case:
    """A config under examination.

    Attributes:
        path: its file.
        raw: as it is loaded, its holes still open.
        origins: where its keys were said.
        options: ``--cfg-options``.
        processes: how many will train.
        config: resolved; empty until it is, and in part where it cannot be whole.
        failed: why it cannot.
        unbuilt: why the model cannot be built.
        told: whether the data itself told the classes that the holes were filled with.
        findings: what has been found so far.
        left_out: checks that could not be made.
    """

    path: Path
    raw: dict[str, Any]
    origins: Origins
    options: Mapping[str, Any]
    processes: int
    config: Config = field(default_factory=Config)
    failed: VitmmError | None = None
    unbuilt: str = ''
    told: bool = True
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
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
        if self.failed or not self.config.get('model'):
            return None
        try:
            return bare_model(self.config.model, self.scope)
        except Exception as error:  # whatever a class of anybody's raises
            self.unbuilt = f'{type(error).__name__}: {reason(error)}'
            if not self.explained('model'):
                self.say('model', ('model',), 'the model cannot be built', self.unbuilt)
            return None

    def explained(self, part: str) -> bool:
        """Whether an unread key or unknown type in a part of the config says why it fails."""
        known = ('keys', 'types', 'classes')
        return any(f.kind in known and f.key.split('.')[0] == part for f in self.findings)


def as_remedy(sentence: str) -> str:
    """A sentence as a finding has it, behind a colon."""
    said = sentence.strip().removesuffix('.')
    return said[:1].lower() + said[1:]


def _allowed(found: Finding) -> bool:
    if found.line is None:
        return False
    lines = Path(found.file).read_text(encoding='utf-8').splitlines()
    line = lines[found.line - 1] if found.line <= len(lines) else ''
    return f'check_config: allow {found.kind}' in line
