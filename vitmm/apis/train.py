"""Train a recipe."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.runner import Runner

from vitmm.apis.checkpoints import check_begins, check_belongs, find_last
from vitmm.apis.evaluators import refuse_unknown_evaluators
from vitmm.apis.fsdp import use_fsdp
from vitmm.apis.launch import build_runner, prepare
from vitmm.apis.metric_names import missing_metric, refuse_unknown_metrics
from vitmm.apis.misfits import refuse_misfits
from vitmm.apis.refusals import refusals_explained
from vitmm.apis.report import summary_logged
from vitmm.apis.small_images import note_of_small_images
from vitmm.apis.switches import use_amp, use_channels_last, use_compile
from vitmm.apis.too_few import refuse_too_few, too_few_classes
from vitmm.config.length import is_endless
from vitmm.datasets.absent_classes import note_of_few_values, note_of_unlearned
from vitmm.datasets.filtered import notes_of_filtered
from vitmm.datasets.listing import notes_of_unread
from vitmm.engine.hooks.lone_image import one_value
from vitmm.engine.workers import end_workers
from vitmm.engine.wrapping import bare
from vitmm.errors import ConfigError, VitmmError
from vitmm.models.parameters import count_parameters
from vitmm.writing import writing


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: bool | str | Path = False,
    amp: bool = False,
    compile: bool = False,
    channels_last: bool = False,
    fsdp: bool = False,
    data: str | None = None,
    launcher: str = 'none',
    options: Mapping[str, Any] | None = None,
) -> Runner:
    """Train a recipe to its end; everything lands in the work dir.

    Args:
        config: a config file.
        work_dir: where results go; ``work_dirs/<config name>`` by default.
        resume: True goes on from the last whole checkpoint in the work dir (or starts, where there
            is none); a path goes on from that checkpoint.
        amp: automatic mixed precision (bfloat16).
        compile: compile the backbone's blocks (torch.compile).
        channels_last: convolutions with channels last.
        fsdp: spread parameters, gradients and optimiser over the processes.
        data: name or path of another data set for the recipe.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        The Runner after training. What came of it is the end of the log
        (:func:`vitmm.apis.report.summarize`).

    Raises:
        VitmmError: whatever the user can mend, in one message.
    """
    cfg = prepare(
        config,
        data=data,
        options=options,
        work_dir=work_dir,
        launcher=launcher,
        loaders=('train_dataloader', 'val_dataloader'),
        tracked=True,
    )
    _refuse_what_never_ends(cfg)
    _refuse_to_scale_from_nothing(cfg)
    _refuse_to_share_without_gpus(cfg)
    _refuse_what_waits_for_ever(cfg)
    refuse_misfits(cfg)
    refuse_too_few(cfg)
    refuse_unknown_evaluators(cfg)
    refuse_unknown_metrics(cfg)
    given = []
    for wanted, switch, use in (
        (amp, '--amp', use_amp),
        (compile, '--compile', use_compile),
        (channels_last, '--channels-last', use_channels_last),
        (fsdp, '--fsdp', use_fsdp),
    ):
        if wanted:
            use(cfg)
            given.append(switch)
    resume_from = find_last(cfg.work_dir) if resume is True else resume or None
    if resume_from:
        cfg.resume, cfg.load_from = True, str(resume_from)
    begins, filled = None, True
    if cfg.get('load_from') and cfg.get('resume'):
        check_belongs(cfg, cfg.load_from, resumed=True)
    elif cfg.get('load_from'):
        begins, filled = check_begins(cfg, cfg.load_from)
    kept = f'What was saved is kept: --resume goes on from the last checkpoint in {cfg.work_dir}.'
    with refusals_explained(cfg, options), writing(('work dir', cfg.work_dir), kept=kept):
        runner = build_runner(cfg)
        runner.logger.info(count_parameters(bare(runner.model)))
        if resume is True and not resume_from:
            runner.logger.info(
                f'{cfg.work_dir} holds no checkpoint yet: starting from the beginning.'
            )
        for note in filter(None, (begins, *(_notes(cfg, options) if is_main_process() else ()))):
            runner.logger.warning(note)
        try:
            with (
                summary_logged(runner, config, data, options, given, filled),
                _accumulating(cfg),
            ):
                runner.train()
        except Exception as error:
            told = too_few_classes(runner, error) or missing_metric(cfg, error)
            told = told or _empty(runner) or one_value(runner, error)
            if told and not isinstance(error, VitmmError):
                raise ConfigError(told) from error
            raise
        finally:
            end_workers(runner)
    return runner


@contextmanager
def _accumulating(cfg: Config) -> Iterator[None]:
    """A schedule that counts iterations is asked before the first step of accumulated gradients.

    MMEngine takes that for a wrong order of calls, and would say so.
    """
    if (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1) == 1:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', r'Detected call of `scheduler\.step', UserWarning)
        yield


def _notes(cfg: Config, options: Mapping[str, Any] | None) -> list[str | None]:
    """What is no fault of the data, and worth knowing before training."""
    dataset, scope = cfg.train_dataloader.dataset, cfg.get('default_scope')
    return [
        note_of_small_images(cfg, options),
        note_of_few_values(dataset, scope),
        *notes_of_filtered(dataset, scope),
        *notes_of_unread(dataset, scope),
        note_of_unlearned(cfg),
    ]


def _empty(runner: Runner) -> str | None:
    """That an epoch has no batch, of which a schedule or a loop says something else."""
    loader = getattr(runner._train_loop, 'dataloader', None)
    dropped = getattr(getattr(loader, 'batch_sampler', None), 'drop_last', False)
    if not dropped or len(loader):
        return None
    size = getattr(loader.batch_sampler, 'batch_size', None)
    return (
        f'train_dataloader gives no batch: {len(loader.dataset)} images for '
        f'{get_world_size()} times {size}, and drop_last=True. Take smaller batches, or '
        'leave drop_last out.'
    )


def _refuse_what_never_ends(cfg: Config) -> None:
    if is_endless(cfg):
        raise ConfigError(
            'train_dataloader.sampler: InfiniteSampler has no end, and train_cfg counts epochs, so '
            "that the first would never end: set sampler.type='DefaultSampler', or train by "
            'iterations (train_cfg of by_epoch=False and max_iters).'
        )


def _refuse_to_share_without_gpus(cfg: Config) -> None:
    if cfg.get('sync_bn') and cfg.launcher != 'none' and not torch.cuda.is_available():
        raise ConfigError(
            f'sync_bn={cfg.sync_bn!r}: batch norms share their statistics on GPUs only, and there '
            'are none: set sync_bn=None.'
        )


def _refuse_what_waits_for_ever(cfg: Config) -> None:
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    if str(optimizer.get('type')).endswith('ZeroRedundancyOptimizer'):
        raise ConfigError(
            'optim_wrapper.optimizer: ZeroRedundancyOptimizer gathers its state from all processes '
            'and MMEngine asks only the first for it, so that the first checkpoint would never be '
            f'written: name {optimizer.get("optimizer_type", "the optimiser")} itself, and --fsdp '
            'spreads its state over the processes.'
        )


def _refuse_to_scale_from_nothing(cfg: Config) -> None:
    scaling = cfg.get('auto_scale_lr') or {}
    if scaling.get('enable') and 'base_batch_size' not in scaling:
        raise ConfigError(
            'auto_scale_lr.enable: set auto_scale_lr.base_batch_size as well, the batch of all '
            'processes that the learning rate is for.'
        )
