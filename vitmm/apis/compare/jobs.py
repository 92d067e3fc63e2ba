"""What a comparison consists of: one process for each job, one file that says it is done."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitmm.apis.compare.settings import Settings
from vitmm.whole_files import write_whole


@dataclass(frozen=True)
class Job:
    """One thing to do, in a process of its own.

    Attributes:
        kind: ``'train'``, ``'test'``, ``'measure'`` or ``'probe'``.
        backbone: its name.
        seed: None where there is none.
        folder: where it writes; ``<kind>.json`` in it is the result, there once all is done.
    """

    kind: str
    backbone: str
    seed: int | None
    folder: Path

    @property
    def result(self) -> Path:
        return self.folder / f'{self.kind}.json'

    @property
    def output(self) -> Path:
        return self.folder / f'{self.kind}.txt'

    @property
    def error(self) -> Path:
        return self.folder / f'{self.kind}.error'

    @property
    def title(self) -> str:
        return f'{self.kind} {self.backbone}' + ('' if self.seed is None else f' seed {self.seed}')

    def done(self) -> dict | None:
        """The result, or None."""
        return json.loads(self.result.read_text()) if self.result.exists() else None

    def why_not(self) -> str | None:
        """Why it failed the last time, or None."""
        return self.error.read_text() if self.error.exists() else None

    def write(self, settings: Settings) -> Path:
        """Write what the process has to know; return the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {
            'kind': self.kind,
            'folder': str(self.folder),
            'result': str(self.result),
            'recipe': str(settings.recipe),
            'data': settings.data,
            # JSON would make lists of tuples, and some transforms take tuples only.
            'options': repr(settings.options_of(self.backbone, self.seed)),
            'checkpoint': str(settings.checkpoint_of(self.backbone) or '') or None,
            'amp': settings.amp,
            'samples': settings.samples,
            'launcher': 'pytorch' if self.kind == 'train' and settings.gpus > 1 else 'none',
        }
        file = self.folder / f'{self.kind}.job'
        write_whole(file, json.dumps(told, indent=1))
        return file


def list_jobs(settings: Settings, backbone: str) -> list[Job]:
    """The jobs of one backbone, in their order."""
    folder = settings.work_dir / folder_name(backbone)
    measure = Job('measure', backbone, None, folder)
    if settings.mode == 'measure':
        return [measure]
    if settings.mode == 'probe':
        return [Job('probe', backbone, None, folder), measure]
    runs = [(seed, folder / f'seed{seed}') for seed in settings.seeds]
    if settings.mode == 'test':
        return [*(Job('test', backbone, seed, path) for seed, path in runs), measure]
    both = [Job(kind, backbone, seed, path) for seed, path in runs for kind in ('train', 'test')]
    return [*both, measure]


def folder_name(backbone: str) -> str:
    """A folder for a name: a hub's has slashes and colons."""
    return re.sub(r'[^\w.\-]', '_', backbone)


def plain(value: Any) -> Any:
    """A value as JSON keeps it: NumPy's and torch's numbers become Python's, NaN None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, 'item') and not isinstance(value, str):
        value = value.item()
    return None if isinstance(value, float) and value != value else value
