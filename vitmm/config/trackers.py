"""Where a run can be followed: ``trackers.wandb.project=birds`` -> MMEngine's visualizer backends.

MMEngine's configs have a list of backends, to which no option can append. Here they are a dict by
name: what it says is what the service's own ``init`` takes, or MMEngine's backend.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from vitmm.config.kinds import kind_of
from vitmm.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Tracker:
    """A service that MMEngine has a backend for.

    Attributes:
        backend: the type in a config.
        package: to install, and its modules that are needed.
        modules: likewise.
        run: what its ``init``, or its backend, calls the name of a run.
        defaults: of the backend.
    """

    backend: str
    package: str
    modules: tuple[str, ...]
    run: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The type without a scope."""
        return self.backend.rpartition('.')[2]


TRACKERS = {
    'tensorboard': Tracker('TensorboardVisBackend', 'tensorboard', ('tensorboard',)),
    'wandb': Tracker(
        'WandbVisBackend',
        'wandb',
        ('wandb',),
        'name',
        # MMEngine hands over no step: the axis would count its calls.
        dict(define_metric_cfg=[dict(name='*', step_metric='iter')]),
    ),
    'mlflow': Tracker('vitmm.MLflowVisBackend', 'mlflow', ('mlflow',), 'run_name'),
    'clearml': Tracker('ClearMLVisBackend', 'clearml', ('clearml',), 'task_name'),
    'neptune': Tracker('NeptuneVisBackend', 'neptune', ('neptune',), 'name'),
    'dvclive': Tracker('DVCLiveVisBackend', 'dvclive', ('dvclive', 'pygit2'), 'exp_name'),
    'aim': Tracker('AimVisBackend', 'aim', ('aim',), 'experiment'),
}
_LOCAL = ('tensorboard',)  # they write into the work dir only


def add_trackers(config: dict[str, Any]) -> None:
    """Write ``config['trackers']`` into the visualizer's backends, in place; again is no change.

    Args:
        config: a resolved config. ``trackers`` has a dict by name of :data:`TRACKERS`, or True;
            False and None take a backend away.

    Raises:
        ConfigError: no such tracker, or an argument that it does not take.
    """
    asked = _asked(config)
    if not asked:
        return
    visualizer = config.get('visualizer') or {'type': 'Visualizer'}
    config['visualizer'] = visualizer
    backends = visualizer.get('vis_backends')
    backends = [{'type': 'LocalVisBackend'}] if backends is None else backends
    for name, settings in asked.items():
        kind = TRACKERS[name].kind
        wanted = [] if settings is None else [_backend(name, settings)]
        # A dumped config has it already: the new one takes its place.
        there = next((i for i, b in enumerate(backends) if kind_of(b) == kind), len(backends))
        backends = [*backends[:there], *wanted, *backends[there + 1 :]]
    visualizer['vis_backends'] = backends
    if 'vis_backends' in config:
        config['vis_backends'] = backends


def check_trackers(config: Mapping[str, Any]) -> None:
    """Raise if a package that follows the run is missing: before data are read and models built.

    Raises:
        ConfigError: it says what to install; or no such tracker.
    """
    asked = {name for name, settings in _asked(config).items() if settings is not None}
    kinds = {kind_of(backend) for backends in _lists(config) for backend in backends}
    off = {name for name, settings in _asked(config).items() if settings is None}
    for name, tracker in TRACKERS.items():
        if name in asked or (tracker.kind in kinds and name not in off):
            absent = [module for module in tracker.modules if find_spec(module) is None]
            if absent:
                raise ConfigError(
                    f'{" and ".join(absent)} is not installed: pip install '
                    f'{" ".join({tracker.package: 0, **dict.fromkeys(absent[1:])})}'
                    f' (or leave trackers.{name} out).'
                )


def name_run(config: Mapping[str, Any], name: str) -> None:
    """Call the run by its work dir where a service would make up a name, in place."""
    for backends in _lists(config):
        for backend in backends:
            tracker = next((t for t in TRACKERS.values() if t.kind == kind_of(backend)), None)
            if tracker is None or tracker.run is None:
                continue
            place = backend if tracker.run in _arguments(tracker) else _init_kwargs(backend)
            place.setdefault(tracker.run, name)


def leave_out(config: dict[str, Any]) -> None:
    """Take away, in place, what follows training elsewhere: testing is no run of its own there."""
    kinds = {tracker.kind for name, tracker in TRACKERS.items() if name not in _LOCAL}
    for backends in _lists(config):
        backends[:] = [backend for backend in backends if kind_of(backend) not in kinds]
    if _asked(config):
        config['trackers'] = {k: v for k, v in config['trackers'].items() if k in _LOCAL}


def _asked(config: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """What ``trackers`` says: the settings of each, None where one is switched off."""
    trackers = config.get('trackers')
    if trackers is None:
        return {}
    if not isinstance(trackers, Mapping):
        raise ConfigError(
            f'trackers = {trackers!r} is no dict: write trackers.wandb=True, or '
            'trackers.wandb.project=NAME.'
        )
    for name, settings in trackers.items():
        if name not in TRACKERS:
            raise ConfigError(
                f"trackers.{name}: nothing is called '{name}'.{did_you_mean(name, TRACKERS)} "
                f'There are: {", ".join(TRACKERS)}.'
            )
        run = TRACKERS[name].run
        if not isinstance(settings, Mapping | bool | None):
            raise ConfigError(
                f'trackers.{name} = {settings!r}: write True, False or a dict of what it takes'
                f'{f", as trackers.{name}.{run}=NAME" if run else ""}.'
            )
    return {
        name: dict(settings) if isinstance(settings, Mapping) else {} if settings else None
        for name, settings in trackers.items()
    }


def _backend(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A backend's config: arguments of the backend in their place, the rest for ``init``."""
    tracker = TRACKERS[name]
    takes = _arguments(tracker)
    backend = {'type': tracker.backend, **tracker.defaults}
    for key, value in settings.items():
        if key in takes:
            backend[key] = value
        elif 'init_kwargs' in takes:
            _init_kwargs(backend)[key] = value
        else:
            raise ConfigError(
                f"trackers.{name}.{key}: {tracker.kind} does not take '{key}'."
                f'{did_you_mean(key, takes)} It takes: {", ".join(takes)}.'
            )
    return backend


def _init_kwargs(backend: dict[str, Any]) -> dict[str, Any]:
    backend['init_kwargs'] = dict(backend.get('init_kwargs') or {})
    return backend['init_kwargs']


def _arguments(tracker: Tracker) -> list[str]:
    from mmengine.visualization import vis_backend  # which imports torch

    taken = inspect.signature(getattr(vis_backend, tracker.kind).__init__).parameters
    return [name for name in taken if name not in ('self', 'save_dir')]


def _lists(config: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    for owner in (config, config.get('visualizer') or {}):
        if isinstance(owner.get('vis_backends'), list):
            yield owner['vis_backends']
