"""Compare backbones under one recipe."""

import fcntl
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from tqdm import tqdm

from vitmm.apis.compare import about, collect, configs, table
from vitmm.apis.compare.jobs import Job, list_jobs
from vitmm.apis.compare.launchers import make_launcher
from vitmm.apis.compare.notes import budget, notes
from vitmm.apis.compare.page import make_page
from vitmm.apis.compare.run import run_jobs
from vitmm.apis.compare.settings import Settings, make_settings
from vitmm.errors import ConfigError, VitmmError
from vitmm.whole_files import write_whole
from vitmm.writing import check_writable, writing


@dataclass
class _State:
    """What is known before anything runs."""

    jobs: dict[str, list[Job]] = field(default_factory=dict)
    flat: dict[str, dict] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    config: Config | None = None


def compare(
    recipe: str | Path,
    backbones: Sequence[str],
    *,
    seeds: Sequence[int] = (0,),
    mode: str = 'train',
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
    checkpoints: Sequence[str | Path] = (),
    metric: str | None = None,
    gpus: int = 1,
    amp: bool = False,
    samples: int = 4,
    launcher: str = 'local',
    launcher_options: Mapping[str, Any] | None = None,
) -> dict:
    """Train, test, measure or probe each backbone under the same recipe; write a table and a page.

    What is done is kept, job by job: the same call goes on where an interrupted one stopped, and
    tries again what failed. ``compare.md``, ``.csv``, ``.json`` and ``.html`` are written anew
    whenever a job has ended.

    Args:
        recipe: a config file.
        backbones: names of timm's, all checked before anything is run.
        seeds: each backbone is trained once with each.
        mode: ``'train'`` trains, tests and measures; ``'test'`` tests ``checkpoints`` and measures;
            ``'measure'`` only measures; ``'probe'`` fits a linear model on frozen features.
        data: name or path of another data set for the recipe.
        options: ``{'dotted.key': value}`` over the config, for all backbones.
        work_dir: where all lands; ``work_dirs/compare/<recipe>`` by default.
        checkpoints: for ``'test'``, one a backbone: files, or work dirs whose last one is taken.
        metric: to compare by; by default the one that picks the recipe's best checkpoint.
        gpus: for each training.
        amp: mixed precision (bfloat16).
        samples: drawn images of the test data.
        launcher: ``'local'`` (one job at a time), ``'submitit'`` (Slurm) or ``'ray'``.
        launcher_options: for submitit's ``update_parameters``, or for Ray's task.

    Returns:
        What ``compare.json`` holds; ``rows`` are in the order of ``backbones``.

    Raises:
        VitmmError: whatever the user can mend. A pairing that fails raises nothing: it is told of
            in its row, under ``errors``.
    """
    settings = make_settings(
        recipe,
        backbones,
        seeds=seeds,
        mode=mode,
        work_dir=work_dir,
        checkpoints=checkpoints,
        launcher=launcher,
        data=data,
        options=dict(options or {}),
        metric=metric,
        gpus=gpus,
        amp=amp,
        samples=samples,
        launcher_options=dict(launcher_options or {}),
    )
    check_writable(settings.work_dir, 'work dir')
    runner = make_launcher(settings)
    state = _State()
    _resolve_all(settings, state)
    if mode in ('train', 'test') and state.config:
        collect.check_metric(state.config.to_dict(), metric)
    kept = 'What is done is kept: the same command goes on from here.'
    with writing(('work dir', settings.work_dir), kept=kept), _alone(settings.work_dir):
        _keep_all(settings, state)
        machine = about.describe()

        def write() -> dict:
            return _write(settings, state, machine)

        jobs = _in_order(state.jobs)
        epochs = (state.config.get('train_cfg') or {}).get('max_epochs') if state.config else None
        try:
            run_jobs(jobs, settings, runner, epochs, write)
        except KeyboardInterrupt:
            write()
            raise
        return write()


def _resolve_all(settings: Settings, state: _State) -> None:
    names = tqdm(settings.backbones, desc='configs', leave=False, disable=not sys.stderr.isatty())
    for backbone in names:
        try:
            config = configs.resolve_one(settings, backbone)
        except VitmmError as error:
            state.errors[backbone] = str(error)
            first = error
            continue
        state.config = state.config or config
        state.texts[backbone] = config.pretty_text
        state.jobs[backbone] = list_jobs(settings, backbone)
        state.flat[backbone] = configs.flatten(config.to_dict())
    if not state.jobs:
        raise first  # not the backbones', but the recipe's or the data's


def _keep_all(settings: Settings, state: _State) -> None:
    configs.write_plan(settings)
    for backbone in state.jobs:
        state.flat[backbone] = configs.keep(settings, backbone, state.flat[backbone])
        for job in state.jobs[backbone] if settings.mode == 'test' else ():
            tested = (job.done() or {}).get('checkpoint')
            if tested and tested != str(settings.checkpoint_of(backbone)):
                raise ConfigError(
                    f'{settings.work_dir} holds a test of {tested}: give another --work-dir, or '
                    'remove this one.'
                )


def _in_order(jobs: Mapping[str, list[Job]]) -> list[Job]:
    """Seed by seed, so that an unfinished comparison is fair; measurements last."""
    flat = [job for some in jobs.values() for job in some]
    seeds = list(dict.fromkeys(job.seed for job in flat if job.kind != 'measure'))
    ordered = [j for seed in seeds for j in flat if j.kind != 'measure' and j.seed == seed]
    return [*ordered, *(job for job in flat if job.kind == 'measure')]


def _write(settings: Settings, state: _State, machine: dict) -> dict:
    rows = [
        collect.make_row(settings, name, state.jobs.get(name, []), state.errors.get(name))
        for name in settings.backbones
    ]
    config = state.config or {}
    metric, higher = collect.choose_metric(config, rows, settings.metric)
    summaries = [collect.summarize(row, metric) for row in rows]
    what, by_class = collect.by_class(rows)
    found = {
        'recipe': str(settings.recipe),
        'data': settings.data,
        'mode': settings.mode,
        'work_dir': str(settings.work_dir),
        'task': config.get('default_scope'),
        'options': {key: str(value) for key, value in settings.options.items()},
        'metric': metric,
        'higher_is_better': higher,
        'seeds': list(settings.seeds),
        'budget': budget(config, settings.gpus, settings.amp),
        'unfinished': sum(
            job.done() is None and not job.error.exists()
            for jobs in state.jobs.values()
            for job in jobs
        ),
        'summary': summaries,
        'rows': rows,
        'per_class': {'what': what, 'values': by_class},
        'differences': configs.differences(state.flat),
        'machine': machine,
    }
    found = json.loads(json.dumps(found, default=str))
    folder = settings.work_dir
    write_whole(folder / 'compare.json', json.dumps(found, indent=1) + '\n')
    write_whole(folder / 'compare.csv', table.as_csv(summaries, metric, higher))
    write_whole(folder / 'compare.md', table.markdown(summaries, metric, higher, notes(found)))
    write_whole(folder / 'compare.html', make_page(found, state.texts))
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f'another comparison is at work in {folder}.') from error
        yield
