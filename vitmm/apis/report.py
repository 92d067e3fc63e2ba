"""What was trained or tested, on what, how well, where it lies, and what to type next."""

import re
import resource
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import IterTimerHook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from vitmm.apis.runs import LogError, Run, read_run
from vitmm.apis.scalars import is_training, read_scalars, scores_of
from vitmm.datasets.sources import leaves

_GIB = 2**30
_Rows = list[tuple[str, str]]


def log_summary(
    runner: Runner,
    config: str | Path,
    seconds: float | None = None,
    error: BaseException | None = None,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Write :func:`summarize` into the log, from the first process.

    After an error nothing is raised, which would hide the error, and nothing is said if the run had
    not begun.
    """
    if not is_main_process() or (error and runner.iter == _begun(runner)):
        return
    try:
        text = summarize(runner, config, seconds, error, data, options)
    except Exception as failure:
        if error is None:
            raise
        text = f'What was done cannot be told: {failure}'
    runner.logger.info(f'\n{text}\n')


def summarize(
    runner: Runner,
    config: str | Path,
    seconds: float | None = None,
    error: BaseException | None = None,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Say what a training was of, how well it did, where everything lies, and what to type next.

    Args:
        runner: that has trained.
        config: the file of the recipe, as it was given.
        seconds: that it took.
        error: what ended it before its time.
        data: of the recipe, as it was given.
        options: over the recipe, as they were given.
    """
    work_dir, config = Path(runner.work_dir), Path(config)
    dumped = _short(work_dir / Path(runner.cfg.filename or config).with_suffix('.py').name)
    noted = work_dir / 'last_checkpoint'  # not where saving is switched off
    last = noted.read_text().strip() if noted.is_file() else None
    best = next(iter(sorted(work_dir.glob('best_*.pth'), key=lambda p: -p.stat().st_mtime)), None)
    try:
        run = read_run(work_dir)
    except LogError:  # it ended before the first line
        run = Run(work_dir.name)
    rows = [
        ('recipe', str(config)),
        ('backbone', _backbone(runner.cfg)),
        ('parameters', _parameters(runner)),
        ('data', _data(runner, ('train', 'to train on'), ('val', 'to validate on'))),
        ('length', _length(runner, seconds)),
        *_results(run),
        ('peak memory', _memory(run)),
        ('last checkpoint', _short(last) if last else 'no checkpoint was saved'),
        *([('best checkpoint', _short(best))] if best else []),
        ('resolved config', dumped),
        ('log', f'{_short(_log_file(runner))}  (scalars in vis_data/)'),
    ]
    ended = (
        f'Stopped {config.stem}: {type(error).__name__}.' if error else f'Finished {config.stem}.'
    )
    again = _again(config, data, options or {})
    commands = _commands(runner, again, dumped, last and _short(last), error)
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
    tested = _short(checkpoint) if checkpoint else "timm's own weights"
    rows = [
        ('backbone', _backbone(runner.cfg, begun=not checkpoint)),
        ('data', _data(runner, ('test', ''))),
        *((name, f'{value:.4f}') for name, value in metrics.items() if np.isscalar(value)),
        *(('written', _short(path)) for path in written),
        ('log', _short(_log_file(runner))),
    ]
    return '\n'.join([f'Tested {tested}.', *_aligned(rows)])


def last_scores(scalars: Path, step: int | None = None) -> dict[str, float]:
    """The metrics of the last validation in MMEngine's JSON log, or of that at ``step``."""
    scores: dict[str, float] = {}
    for entry in read_scalars(scalars)[0]:
        if not is_training(entry) and step in (None, entry['step']):
            scores = scores_of(entry)
    return scores


def _backbone(cfg: Config, begun: bool = True) -> str:
    model = cfg.model.get('module', cfg.model)  # of test-time augmentation
    settings = model.get('backbone') or {}
    name = settings.get('model_name') or settings.get('type') or model.type
    start = settings.get('pretrained') or (settings.get('init_cfg') or {}).get('checkpoint')
    weights = "timm's weights" if start is True else str(start) if start else 'from nothing'
    if cfg.get('load_from') and not cfg.get('resume'):
        weights = f'from {_short(cfg.load_from)}'
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
            if leaf.get('data_root'):
                roots[_short(leaf['data_root'])] = None
    said += [f'{len(classes)} classes'] if classes else []
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
    if run.metric and run.greater is not None:
        text += f', best {at(int(np.argmax(values) if run.greater else np.argmin(values)))}'
    yield key, text


def _memory(run: Run) -> str:
    if torch.cuda.is_available():
        # The log resets the allocator's peak with each of its lines, and has it in MiB.
        peaks = [entry['memory'] * 2**20 for entry in run.training if 'memory' in entry]
        peak = max(torch.cuda.max_memory_allocated(), *peaks, 0)
        return f'{peak / _GIB:.2f} GiB of GPU memory'
    scale = 1 if sys.platform == 'darwin' else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return f'{peak / _GIB:.2f} GiB (without loader workers)'


def _commands(
    runner: Runner, again: str, dumped: str, last: str | None, error: BaseException | None
) -> Iterator[str]:
    work_dir = _short(runner.work_dir)
    if error and last:
        yield f'python tools/train.py {dumped} --work-dir {work_dir} --resume'
    if any('Tensorboard' in name for name in runner.visualizer._vis_backends):
        yield f'tensorboard --logdir {work_dir}'
    if runner.cfg.get('test_dataloader'):  # pretraining has none, and takes some backbones only
        if last:
            yield f'python tools/test.py {dumped} {last} --show-dir {work_dir}/shown'
            yield f'python tools/infer.py {last} IMAGES --out {work_dir}/results'
        if not error:
            yield again


def _again(config: Path, data: str | None, options: Mapping[str, Any]) -> str:
    """The command of the same training with another backbone: the dumped config is of this one."""
    words = ['python', 'tools/train.py', str(config), *(['--data', data] if data else [])]
    swapped = re.compile(r'model\.backbone\.model_(name|kwargs)(\..*)?')
    kept = {key: value for key, value in options.items() if not swapped.fullmatch(key)}
    kept['model.backbone.model_name'] = 'resnet18'
    texts = {key: value if isinstance(value, str) else repr(value) for key, value in kept.items()}
    pairs = (f'{key}={text}' for key, text in texts.items())
    return shlex.join([*words, '--cfg-options', *pairs])


def _aligned(rows: _Rows) -> list[str]:
    rows = [(name, text) for name, text in rows if text]
    width = max(len(name) for name, _ in rows)
    return [f'  {name:<{width}}  {text}' for name, text in rows]


def _log_file(runner: Runner) -> Path:
    return Path(runner.log_dir) / f'{runner.timestamp}.log'


def _short(path: str | Path) -> str:
    path = Path(path).resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
