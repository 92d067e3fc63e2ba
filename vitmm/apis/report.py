"""What came of a run, and what to type next."""

from pathlib import Path

from mmengine.runner import Runner

from vitmm.apis.scalars import is_training, read_scalars, scores_of


def summarize(runner: Runner, config: str | Path) -> str:
    """Say how well a finished training did, where everything lies, and what to try next.

    Args:
        runner: that has trained.
        config: the file of the recipe, as it was given.
    """
    work_dir, config = Path(runner.work_dir), Path(config)
    noted = work_dir / 'last_checkpoint'  # not where saving is switched off
    last = noted.read_text().strip() if noted.is_file() else None
    best = next(iter(sorted(work_dir.glob('best_*.pth'), key=lambda p: -p.stat().st_mtime)), None)
    log = Path(runner._log_dir)
    lines = ['', f'Finished {config.stem}.']
    scores = last_scores(log / 'vis_data' / 'scalars.json')
    lines += [f'  {name:<16} {value:.4f}' for name, value in scores.items()]
    dumped = work_dir / Path(runner.cfg.filename).name
    lines += [
        *([f'  last checkpoint  {_short(last)}'] if last else ['  no checkpoint was saved']),
        *([f'  best checkpoint  {_short(best)}'] if best else []),
        f'  resolved config  {_short(dumped)}',
        f'  logs             {_short(log)}  (text, and JSON in vis_data/)',
        '',
        'Next:',
        f'  tensorboard --logdir {_short(work_dir)}',
    ]
    if runner.cfg.get('test_dataloader'):  # pretraining has none, and takes some backbones only
        if last:
            shown = _short(work_dir / 'shown')
            lines.append(
                f'  python tools/test.py {_short(dumped)} {_short(last)} --show-dir {shown}'
            )
        lines += [
            f'  python tools/train.py {config} --cfg-options model.backbone.model_name=resnet18',
        ]
    return '\n'.join(lines)


def last_scores(scalars: Path, step: int | None = None) -> dict[str, float]:
    """The metrics of the last validation in MMEngine's JSON log, or of that at ``step``."""
    scores: dict[str, float] = {}
    for entry in read_scalars(scalars)[0]:
        if not is_training(entry) and step in (None, entry['step']):
            scores = scores_of(entry)
    return scores


def _short(path: str | Path) -> str:
    path = Path(path).resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
