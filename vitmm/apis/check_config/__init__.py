"""Look a config over for what bites: see :func:`check_config`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from vitmm.apis.check_config.case import Case, Finding
from vitmm.apis.check_config.classes import check_classes
from vitmm.apis.check_config.keys import check_keys
from vitmm.apis.check_config.metrics import check_metrics, check_weights
from vitmm.apis.check_config.parameters import check_parameters
from vitmm.apis.check_config.pixels import check_pixels
from vitmm.apis.check_config.rate import check_rate, processes_of
from vitmm.apis.check_config.schedule import check_schedule
from vitmm.apis.check_config.sizes import check_sizes
from vitmm.apis.check_config.toplevel import check_pipelines, check_top_level
from vitmm.apis.check_config.types import check_types
from vitmm.config import load_config, resolve
from vitmm.config.origin import Origins
from vitmm.config.resolve import describe_data
from vitmm.datasets.errors import DataError
from vitmm.datasets.sources import dataset_class, leaves
from vitmm.errors import VitmmError

__all__ = ['Finding', 'check_config']

_CHECKS: tuple[Callable[[Case], None], ...] = (
    check_types,
    check_keys,
    check_top_level,
    check_pipelines,
    check_schedule,
    check_rate,
    check_pixels,
    check_classes,
    check_sizes,
    check_metrics,
    check_weights,
    check_parameters,
)


def check_config(
    config: str | Path,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    processes: int | None = None,
) -> list[Finding]:
    """Find what OpenMMLab would train with in silence, and wrongly.

    The data need not be there, nothing is written, and the model is built without memory. A
    finding whose line has the comment ``check_config: allow KIND`` is meant, and left out.

    Args:
        config: a config file of ours or of an OpenMMLab codebase.
        data: name or path of another data set for the recipe.
        options: ``{'dotted.key': value}`` over the config.
        processes: how many will train; by default as many as the file's name says (``8xb2``), or
            one.

    Returns:
        The findings, by file and line.

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
    failed = None
    try:
        case.config, case.told = _fill(raw, loaded.filename)
    except VitmmError as error:
        failed = error
    for check in _CHECKS if failed is None else (check_types, check_keys, check_top_level):
        check(case)
    if failed is not None and not case.findings:  # or they say why
        case.say('resolve', (), f'the config does not resolve ({failed})', 'see the message')
    return sorted(case.findings, key=lambda f: (f.file, f.line or 0, f.key))


def _fill(raw: Mapping[str, Any], filename: str) -> tuple[Config, bool]:
    """The resolved config, and whether the data itself told its classes."""
    config = Config(dict(raw), filename=filename)
    if '${data.' not in str(raw):
        return resolve(config, known={'data': {}}), True
    try:
        data, told = describe_data(config), True
    except DataError:
        names, told = _names_of_class(raw), False
        weights = [1.0] * (len(names) + 1)
        data = {'classes': names, 'num_classes': len(names), 'set_weights': weights}
    return resolve(config, known={'data': data}), told


def _names_of_class(raw: Mapping[str, Any]) -> list[str]:
    """Some names to go on with where the data is not there: those of the data set's class."""
    dataset = (raw.get('train_dataloader') or {}).get('dataset') or {}
    for leaf in leaves(dataset) if dataset else ():
        try:
            names = dataset_class(leaf, raw.get('default_scope')).METAINFO.get('classes')
        except (DataError, AttributeError, KeyError):
            continue
        if isinstance(names, list | tuple):
            return list(names)
    return ['a class', 'another']
