"""Look a config over for what bites: see :func:`check_config`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vitmm.apis.check_config.case import Case, Finding, Findings
from vitmm.apis.check_config.classes import check_classes
from vitmm.apis.check_config.deep import check_step
from vitmm.apis.check_config.keys import check_keys
from vitmm.apis.check_config.loading import check_loading
from vitmm.apis.check_config.metrics import check_metrics, check_weights
from vitmm.apis.check_config.parameters import check_parameters
from vitmm.apis.check_config.pixels import check_pixels
from vitmm.apis.check_config.rate import check_rate, processes_of
from vitmm.apis.check_config.resolving import fill, say_why
from vitmm.apis.check_config.schedule import check_schedule
from vitmm.apis.check_config.sizes import check_sizes
from vitmm.apis.check_config.toplevel import check_pipelines, check_top_level
from vitmm.apis.check_config.types import check_types
from vitmm.apis.misfits import misfits
from vitmm.config import load_config
from vitmm.config.origin import Origins

__all__ = ['Finding', 'Findings', 'check_config']

_CHECKS: tuple[Callable[[Case], None], ...] = (
    check_types,
    check_keys,
    check_top_level,
    check_pipelines,
    check_schedule,
    check_rate,
    check_classes,
    check_sizes,
    check_metrics,
    check_weights,
)


def _check_misfits(case: Case) -> None:
    for key, what, remedy in misfits(case.config):
        case.say('parameters', key, what, remedy)


_RESOLVED_CHECKS = (_check_misfits, check_pixels, check_parameters, check_loading)
_OF_DATA = 'classes, and how much small images are enlarged'
_OF_MODEL = 'statistics of pixels, strides of anchors, gradients and groups of parameters'
_OF_LOADING = 'data loaders, transforms'


def check_config(
    config: str | Path,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    processes: int | None = None,
    deep: bool = False,
) -> Findings:
    """Find what OpenMMLab would train with in silence, and wrongly.

    The data need not be there, nothing is written, and the model is built without memory. A
    finding whose line has the comment ``check_config: allow KIND`` is meant, and left out.

    Args:
        config: a config file of ours or of an OpenMMLab codebase.
        data: name or path of another data set for the recipe.
        options: ``{'dotted.key': value}`` over the config.
        processes: how many will train; by default as many as the file's name says (``8xb2``), or
            one.
        deep: take a training step of made-up images on the CPU, too.

    Returns:
        The findings, by file and line, and what could not be checked (``left_out``).

    Raises:
        VitmmError: the config cannot be read at all.
    """
    path = Path(config)
    loaded = load_config(path, data, options)
    raw = loaded.to_dict()
    case = Case(
        path=path,
        raw=raw,
        origins=Origins(path, data, options, raw),
        options=options or {},
        processes=processes or processes_of(path),
    )
    fill(case, loaded.filename)
    for check in _CHECKS:
        _run(check, case)
    if not case.told:
        case.left_out.append(f'{_OF_DATA} (the data is not there)')
    if case.failed:
        say_why(case)
        case.left_out.append(f'{_OF_LOADING}, {_OF_MODEL} (the config does not resolve)')
    else:
        for check in _RESOLVED_CHECKS:
            check(case)
        if deep:
            check_step(case)
        if case.unbuilt:
            case.left_out.append(f'{_OF_MODEL} (the model cannot be built: {case.unbuilt})')
    ordered = sorted(case.findings, key=lambda f: (f.file, f.line or 0, f.key))
    return Findings(ordered, case.left_out)


def _run(check: Callable[[Case], None], case: Case) -> None:
    """Of a config that does not resolve, a check may meet parts that it cannot read."""
    try:
        check(case)
    except Exception as error:
        if not case.failed:
            raise
        name = check.__name__.removeprefix('check_')
        case.left_out.append(f'{name} (the config does not resolve; {type(error).__name__})')
