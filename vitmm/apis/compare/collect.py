"""From the results of the jobs to one row for each backbone."""

import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from vitmm.apis.compare.jobs import Job
from vitmm.apis.compare.settings import Settings
from vitmm.apis.metric_names import OF_CLASSES, listed, metric_names
from vitmm.errors import ConfigError, did_you_mean


def make_row(settings: Settings, backbone: str, jobs: Sequence[Job], error: str | None) -> dict:
    """All that is known of a backbone by now.

    Args:
        settings: of the comparison.
        backbone: its name.
        jobs: its own, in their order.
        error: why its config does not even resolve, or None.

    Returns:
        ``backbone``; ``runs``, one for each seed with its scores, curves and command, and
        ``diverged`` where its loss became no number; ``cost``,
        what :func:`vitmm.apis.compare.measure.measure` found; ``errors``, ``{what: why}``.
    """
    row: dict[str, Any] = {'backbone': backbone, 'runs': [], 'cost': None, 'errors': {}}
    if error:
        row['errors']['config'] = error
    for job in jobs:
        result = job.done()
        title = job.title.replace(f' {backbone}', '')
        if result is None:
            if why := job.why_not():
                row['errors'][title] = why
        elif job.kind == 'measure':
            row['cost'] = result
        else:
            run = next((r for r in row['runs'] if r['seed'] == job.seed), None)
            if run is None:
                run = {'seed': job.seed, 'folder': str(job.folder)}
                row['runs'].append(run)
            if job.kind == 'train':
                run['command'] = command_line(settings, backbone, job)
                run['diverged'] = bool(result.get('broken'))
                if run['diverged']:
                    row['errors'][title] = f'diverged: {result["broken"]}'
            run.update({key: value for key, value in result.items() if key != 'scores'})
            # What was tested is what was validated last, and has the more to say.
            run['scores'] = {**run.get('scores', {}), **result['scores']}
    return row


def command_line(settings: Settings, backbone: str, job: Job) -> str:
    """What one would type to train a pairing alone."""
    options = settings.options_of(backbone, job.seed)
    words = ['python', 'tools/train.py', str(settings.recipe), '--work-dir', str(job.folder)]
    if settings.gpus > 1:
        words = ['tools/dist_train.sh', words[2], str(settings.gpus), *words[3:]]
    words += ['--amp'] * settings.amp + (['--data', settings.data] if settings.data else [])
    words += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    return shlex.join(words)


def choose_metric(
    config: Mapping[str, Any], rows: Sequence[Mapping], wanted: str | None = None
) -> tuple[str | None, bool]:
    """The metric to compare by: the one that picks a recipe's best checkpoint.

    Args:
        config: a resolved config; ``default_hooks.checkpoint`` has ``save_best`` and ``rule``.
        rows: what there is by now.
        wanted: a name, or its last part, that comes before the config's.

    Returns:
        Its full name, or None as long as there is no score; whether higher is better.

    Raises:
        ConfigError: no metric is called ``wanted``.
    """
    hook = (config.get('default_hooks') or {}).get('checkpoint') or {}
    named = next(iter(listed(hook.get('save_best'))), None)
    rule = next(iter(listed(hook.get('rule'))), None)
    names = list(dict.fromkeys(n for row in rows for run in row['runs'] for n in run['scores']))
    if not names:
        return wanted, True
    named = names[0] if named == 'auto' else named  # as MMEngine has it
    name = _find(wanted, names) if wanted else named if named in names else names[0]
    return name, rule != 'less' if rule and name == named else _higher(name)


def check_metric(config: Mapping[str, Any], wanted: str | None) -> None:
    """Raise for a ``wanted`` that neither validation nor test will give, where that is known.

    Raises:
        ConfigError: says what there is.
    """
    names: list[str] = []
    for split in ('val', 'test'):
        known = metric_names(config, split)
        if known is None:
            return
        names += known
    if wanted and not wanted.endswith(OF_CLASSES):
        _find(wanted, list(dict.fromkeys(names)))


def _find(wanted: str, names: Sequence[str]) -> str:
    for name in names:
        if wanted in (name, name.rpartition('/')[2]):
            return name
    raise ConfigError(
        f'--metric {wanted}: no such metric.{did_you_mean(wanted, names)} There are '
        f'{", ".join(names)}.'
    )


def _higher(name: str) -> bool:
    """By MMEngine's own lists; what is in neither counts as better when higher."""
    from mmengine.hooks import CheckpointHook

    less = (*CheckpointHook._default_less_keys, 'abs_rel', 'sq_rel', 'rmse', 'silog', 'log10')
    return not any(part in name.lower() for part in less)


def summarize(row: Mapping, metric: str | None) -> dict[str, Any]:
    """The figures of a row in the table: means over seeds, and how far they spread.

    Seeds whose training diverged, or whose metric is no number, are no part of the means.

    Returns:
        ``score`` and ``std`` (of the sample, None for one seed), ``seeds``, ``parameters`` in
        millions, ``gflops``, ``latency`` in ms with quartiles, ``throughput`` in images a second,
        ``memory`` and ``train_memory`` in MiB, ``train_seconds``; None for what is not known.
    """
    errors = dict(row['errors'])
    scores = []
    for run in row['runs']:
        if run.get('diverged') or metric not in run['scores']:
            continue
        if run['scores'][metric] is None:
            errors[f'seed {run["seed"]}'] = f'{metric} is NaN'
        else:
            scores.append(run['scores'][metric])
    seconds = [run['seconds'] for run in row['runs'] if run.get('seconds')]
    memories = [run['memory'] for run in row['runs'] if run.get('memory')]
    cost = row['cost'] or {}
    latency = cost.get('latency') or {}
    return {
        'backbone': row['backbone'],
        'score': statistics.mean(scores) if scores else None,
        'std': statistics.stdev(scores) if len(scores) > 1 else None,
        'seeds': len(scores),
        'parameters': cost['parameters'] / 1e6 if cost else None,
        'gflops': cost.get('gflops'),
        'latency': latency.get('median'),
        'latency_low': latency.get('low'),
        'latency_high': latency.get('high'),
        'throughput': cost.get('throughput'),
        'memory': cost.get('memory'),
        'train_memory': max(memories, default=None),
        'train_seconds': statistics.mean(seconds) if seconds else None,
        'error': '; '.join(f'{what}: {why}' for what, why in errors.items()) or None,
    }


def by_class(rows: Sequence[Mapping]) -> tuple[str | None, dict[str, dict[str, float | None]]]:
    """Values by class, means over seeds.

    Returns:
        What they are (``'IoU'``), and ``{class: {backbone: mean}}``.
    """
    what, found = None, {}
    for row in rows:
        tables = [run.get('per_class') or {} for run in row['runs']]
        what = what or next((table['what'] for table in tables if table.get('what')), None)
        for name in dict.fromkeys(name for table in tables for name in table.get('values', {})):
            values = [table['values'][name] for table in tables if name in table.get('values', {})]
            values = [value for value in values if value is not None]
            found.setdefault(name, {})[row['backbone']] = (
                statistics.mean(values) if values else None
            )
    return what, found
