"""What train and test share: from a command line to a Runner's config."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from vitmm.apis.bad_data import check_or_leave_out
from vitmm.apis.depth_range import refuse_unmeasured_depth
from vitmm.apis.unknown_types import explain_unknown
from vitmm.collector import set_aside
from vitmm.compat import collect_env
from vitmm.compat.checkpoint import use_in_mmengine
from vitmm.compat.distributed import cpu_wrapper_cfg, init_dist
from vitmm.config import load_config, resolve
from vitmm.config.load import merge_options
from vitmm.config.paths import missing_explained
from vitmm.config.top_level import check_log_level, check_options
from vitmm.config.trackers import check_trackers, leave_out, name_run
from vitmm.datasets.freed_memory import MOST, keep_freed_memory
from vitmm.engine.hooks.lone_image import LoneImageHook
from vitmm.engine.hooks.pass_over import PassOverHook
from vitmm.engine.hooks.resumed_settings import ResumedSettingsHook
from vitmm.engine.hooks.started import StartedHook
from vitmm.engine.hooks.state_layout import StateLayoutHook
from vitmm.engine.hooks.sync_statistics import SyncStatisticsHook
from vitmm.engine.workers import keep_workers
from vitmm.errors import ConfigError
from vitmm.writing import check_writable

_runs = count()
_named: set[str] = set()  # the runs of this process
# The hooks that MMEngine has where a config has none, and so may be set to None.
_STANDARD = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def prepare(
    config: str | Path,
    *,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
    launcher: str = 'none',
    loaders: Sequence[str] = (),
    tracked: bool = False,
) -> Config:
    """Load and resolve a config, start the processes' group, and check the data that is used.

    Args:
        config: the recipe.
        data: another data set for it (:func:`vitmm.config.load_config`).
        options: ``--cfg-options``.
        work_dir: where results go; ``work_dirs/<config name>`` if neither this nor the config
            says.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        loaders: the data loaders whose annotations and files are looked at first.
        tracked: whether the config's trackers, beside TensorBoard, follow this run.

    Raises:
        VitmmError: whatever the user can mend, before anything is written.
    """
    loaded = load_config(config, data)
    if not loaded.get('model'):
        raise ConfigError(f'{config} has no model: it is not a whole recipe, or empty.')
    if options:
        check_options(loaded, options, config)
        merge_options(loaded, options, config)
    if not tracked:
        leave_out(loaded)
    check_trackers(loaded)
    check_log_level(loaded)
    if launcher != 'none':
        settings = (loaded.get('env_cfg') or {}).get('dist_cfg') or {}
        init_dist(launcher, settings.get('backend'), settings.get('timeout'))
    try:
        with missing_explained(loaded, loaders):
            resolved = resolve(loaded)
            resolved.launcher = launcher
            resolved.work_dir = str(
                work_dir or resolved.get('work_dir') or Path('work_dirs') / Path(config).stem
            )
            if work_dir:
                check_writable(work_dir, 'work dir')
            name_run(resolved, Path(resolved.work_dir).resolve().name)
            for loader in loaders:
                if resolved.get(loader):
                    check_or_leave_out(resolved, loader)
                    refuse_unmeasured_depth(resolved, loader)
    except ConfigError as error:  # the backbone is built when it is asked what it is
        if error.__cause__ and (message := explain_unknown(loaded, error.__cause__)):
            raise ConfigError(message) from error
        raise
    return resolved


def build_runner(config: Config) -> Runner:
    """Build the Runner that the config asks for, on GPUs or without."""
    if config.launcher != 'none' and not torch.cuda.is_available():
        # MMEngine would pass GPU numbers to DDP, which refuses them for a model on the CPU.
        unused = config.get('find_unused_parameters', False)
        config.setdefault('model_wrapper_cfg', cpu_wrapper_cfg(find_unused_parameters=unused))
    check_writable(config.work_dir, 'work dir')
    # MMEngine knows runs by their second: two of one process would share logs and histories.
    if number := next(_runs):
        if config.get('experiment_name') in {None, *_named}:  # a stored config has its own run's
            config.experiment_name = f'{Path(config.filename or "run").stem}_{number}'
        _named.add(config.experiment_name)
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in _STANDARD]:
        del hooks[name]
    if not torch.cuda.is_available():  # on a GPU torch keeps what it has freed
        keep_freed_memory(MOST)
    use_in_mmengine()
    collect_env.install()
    set_aside()
    runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
    for module in runner.model.modules():
        if isinstance(module, BaseDataPreprocessor):
            module._non_blocking = True  # mmseg's has no argument for it
    keep_workers(runner)
    hooks = [
        StartedHook(),
        PassOverHook(),
        StateLayoutHook(),
        ResumedSettingsHook(),
        LoneImageHook(),
    ]
    if config.launcher != 'none':
        hooks.append(SyncStatisticsHook())
    for hook in hooks:
        runner.register_hook(hook)
    return runner
