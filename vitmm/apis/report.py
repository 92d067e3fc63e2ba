"""What was trained or tested, on what, how well, where it lies, and what to type next."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import IterTimerHook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from vitmm.apis.memory import peak
from vitmm.apis.next_commands import next_commands, short_path
from vitmm.apis.runs import LogError, Run, read_run
from vitmm.apis.scalars import broken
from vitmm.datasets.sources import leaves, read_source
from vitmm.engine.hooks.progress import stop_progress

_GIB = 2**30
_Rows = list[tuple[str, str]]


@contextmanager
def summary_logged(
    runner: Runner,
    config: str | Path,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    switches: Sequence[str] = (),
    filled: bool = True,
) -> Iterator[None]:
    """Write :func:`summarize` into the log, from the first process, when what is inside has ended.

    After an error nothing is raised, which would hide the error, and nothing is said if the run had
    not begun.
    """
    start = time.perf_counter()
    error: BaseException | None = None
    try:
        yield
    except BaseException as failure:  # also Ctrl-C
        error = failure
        raise
    finally:
        stop_progress(runner)
        if is_main_process() and not (error and runner.iter == _begun(runner)):
            seconds = time.perf_counter() - start
            try:
                text = summarize(
                    runner, config, data, options, switches, filled, seconds=seconds, error=error
                )
            except Exception as failure:
                if error is None:
                    raise
                text = f'What was done cannot be told: {failure}'
            runner.logger.info(f'\n{text}\n')


def summarize(
    runner: Runner,
    config: str | Path,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    switches: Sequence[str] = (),
    filled: bool = True,
    *,
    seconds: float | None = None,
    error: BaseException | None = None,
) -> str:
    """Say what a training was of, how well it did, where everything lies, and what to type next.

    Args:
        runner: that has trained.
        config: the file of the recipe, as it was given.
        data: of the recipe, as it was given.
        options: over the recipe, as they were given.
        switches: of ``tools/train.py`` that were given, as ``'--amp'``.
        filled: whether the checkpoint of ``load_from`` had anything of the backbone.
        seconds: that it took.
        error: what ended it before its time.
    """
    work_dir, config = Path(runner.work_dir), Path(config)
    dumped = short_path(work_dir / Path(runner.cfg.filename or config).with_suffix('.py').name)
    noted = work_dir / 'last_checkpoint'  # not where saving is switched off
    last = noted.read_text().strip() if noted.is_file() else None
    best = next(iter(sorted(work_dir.glob('best_*.pth'), key=lambda p: -p.stat().st_mtime)), None)
    try:
        run = read_run(work_dir)
    except LogError:  # it ended before the first line
        run = Run(work_dir.name)
    rows = [
        ('recipe', str(config)),
        ('backbone', _backbone(runner.cfg, filled=filled)),
        ('parameters', _parameters(runner)),
        ('data', _data(runner, ('train', 'to train on'), ('val', 'to validate on'))),
        ('length', _length(runner, seconds)),
        *_results(run),
        *_broken(run),
        ('peak memory', _memory(run)),
        ('last checkpoint', short_path(last) if last else 'no checkpoint was saved'),
        *([('best checkpoint', short_path(best))] if best else []),
        ('resolved config', dumped),
        ('log', f'{short_path(_log_file(runner))}  (scalars in vis_data/)'),
    ]
    ended = (
        f'Stopped {config.stem}: {type(error).__name__}.' if error else f'Finished {config.stem}.'
    )
    commands = next_commands(runner, config, dumped, last, error, data, options or {}, switches)
    return '\n'.join([ended, *_aligned(rows), '', 'Next:', *(f'  {one}' for one in commands)])


def summarize_test(
    runner: Runner,
    checkpoint: str | Path | None,
    metrics: Mapping[str, Any],
    written: Sequence[str | Path] = (),
) -> str:
    """Say what was tested, on what, how well, and where it lies.

    Args:
        runner: that has tested.
        checkpoint: None for timm's own weights.
        metrics: by name; others than numbers are left out.
        written: files and folders of predictions.
    """
    tested = short_path(checkpoint) if checkpoint else "timm's own weights"
    rows = [
        ('backbone', _backbone(runner.cfg, begun=not checkpoint)),
        ('data', _data(runner, ('test', ''))),
        *((name, f'{value:.4f}') for name, value in metrics.items() if np.isscalar(value)),
        *(('written', short_path(path)) for path in written),
        ('log', short_path(_log_file(runner))),
    ]
    return '\n'.join([f'Tested {tested}.', *_aligned(rows)])


def _backbone(cfg: Config, begun: bool = True, filled: bool = True) -> str:
    model = cfg.model.get('module', cfg.model)  # of test-time augmentation
    settings = model.get('backbone') or {}
    name = settings.get('model_name') or settings.get('type') or model.type
    start = settings.get('pretrained') or (settings.get('init_cfg') or {}).get('checkpoint')
    weights = "timm's weights" if start is True else str(start) if start else 'from nothing'
    if cfg.get('load_from') and not cfg.get('resume') and filled:
        weights = f'from {short_path(cfg.load_from)}'
    return f'{name}, {weights}' if begun else name


def _parameters(runner: Runner) -> str:
    sizes = [(p.numel(), p.requires_grad) for p in runner.model.parameters()]
    learning = sum(size for size, learns in sizes if learns)
    return f'{learning:,d} of {sum(size for size, _ in sizes):,d} learn'


def _data(runner: Runner, *splits: tuple[str, str]) -> str:
    said, classes, roots = [], None, {}
    for split, purpose in splits:
        loop = getattr(runner, f'_{split}_loop')
        if not isinstance(loop, BaseLoop):  # none, or it ended before it was built
            continue
        dataset = loop.dataloader.dataset
        said.append(f'{len(dataset):,d} images {purpose}'.rstrip())
        classes = classes or (getattr(dataset, 'metainfo', None) or {}).get('classes')
        for leaf in leaves(runner.cfg[f'{split}_dataloader']['dataset']):
            if read_source(leaf, runner.cfg.get('default_scope')).kind == 'depth':
                classes = None  # mmseg's class of depth data names NYU's kinds of rooms
            if leaf.get('data_root'):
                roots[short_path(leaf['data_root'])] = None
    said += [f'{len(classes)} class{"es" if len(classes) > 1 else ""}'] if classes else []
    return ': '.join(part for part in (' and '.join(roots), ', '.join(said)) if part)


def _length(runner: Runner, seconds: float | None) -> str:
    start = _begun(runner)
    said = [f'{runner.iter} of {runner.max_iters} iterations']
    if isinstance(runner._train_loop, EpochBasedTrainLoop):
        said.insert(0, f'{runner.epoch} of {runner.max_epochs} epochs')
    if start:
        said.append(f'resumed at {start}')
    if seconds is not None:
        said.append(str(timedelta(seconds=round(seconds))))
    times = runner.message_hub.log_scalars.get('train/time')
    if times is not None and (done := runner.iter - start) > 0:
        said.append(f'{np.median(times.data[0][-done:]):.3g} s an iteration')
    return ', '.join(said)


def _begun(runner: Runner) -> int:
    """Iterations that were done when this process began to train."""
    timer = next((hook for hook in runner.hooks if isinstance(hook, IterTimerHook)), None)
    return timer.start_iter if timer else 0


def _results(run: Run) -> Iterator[tuple[str, str]]:
    """The metric that picks the best checkpoint, or where nothing is validated the last loss."""
    key = run.metric or 'loss'
    steps, values = run.curve(key)
    if not values:
        return

    def at(place: int) -> str:
        if run.by_epoch and run.epoch_length:
            return f'{values[place]:.4f} (epoch {steps[place] / run.epoch_length:g})'
        return f'{values[place]:.4f} (iteration {steps[place]:g})'

    text = f'last {at(-1)}'
    if run.metric and run.greater is not None and not np.all(np.isnan(values)):
        text += f', best {at(int((np.nanargmax if run.greater else np.nanargmin)(values)))}'
    yield key, text


def _broken(run: Run) -> Iterator[tuple[str, str]]:
    """That the loss was no number, as a training of nothing says it nowhere else."""
    if found := broken(run.training):
        name, steps = found
        yield (
            'BROKEN',
            f'the {name} was NaN or infinite in {len(steps)} of {len(run.training)} logged lines, '
            f'first at iteration {steps[0]}: look at the data, the weights and the learning rate',
        )


def _memory(run: Run) -> str:
    if torch.cuda.is_available():
        # The log resets the allocator's peak with each of its lines, and has it in MiB.
        most = max(peak(), *(entry.get('memory', 0) * 2**20 for entry in run.training), 0)
        return f'{most / _GIB:.2f} GiB of GPU memory'
    return f'{peak() / _GIB:.2f} GiB (without loader workers)'


def _aligned(rows: _Rows) -> list[str]:
    rows = [(name, text) for name, text in rows if text]
    width = max(len(name) for name, _ in rows)
    return [f'  {name:<{width}}  {text}' for name, text in rows]


def _log_file(runner: Runner) -> Path:
    return Path(runner.log_dir) / f'{runner.timestamp}.log'
