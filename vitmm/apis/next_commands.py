"""What to type after a training."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.runner import Runner


def next_commands(
    runner: Runner,
    config: Path,
    dumped: str,
    last: str | None,
    error: BaseException | None,
    data: str | None,
    options: Mapping[str, Any],
) -> Iterator[str]:
    """What can be done with a training that has ended.

    Args:
        runner: that has trained.
        config: the file of the recipe.
        dumped: the resolved config.
        last: the last checkpoint, if any was saved.
        error: what ended it before its time.
        data: of the recipe, as it was given.
        options: over the recipe, as they were given.
    """
    work_dir, last = short_path(runner.work_dir), last and short_path(last)
    if error and last:
        yield f'python tools/train.py {dumped} --work-dir {work_dir} --resume'
    if any('Tensorboard' in name for name in runner.visualizer._vis_backends):
        yield f'tensorboard --logdir {work_dir}'
    if runner.cfg.get('test_dataloader'):  # pretraining has none, and takes some backbones only
        if last:
            yield f'python tools/test.py {dumped} {last} --show-dir {work_dir}/shown'
            yield f'python tools/infer.py {last} IMAGES --out {work_dir}/results'
        if not error:
            yield _again(config, data, options)


def _again(config: Path, data: str | None, options: Mapping[str, Any]) -> str:
    """The command of the same training with another backbone: the dumped config is of this one."""
    words = ['python', 'tools/train.py', str(config), *(['--data', data] if data else [])]
    swapped = re.compile(r'model\.backbone\.model_(name|kwargs)(\..*)?')
    kept = {key: value for key, value in options.items() if not swapped.fullmatch(key)}
    kept['model.backbone.model_name'] = 'resnet18'
    texts = {key: value if isinstance(value, str) else repr(value) for key, value in kept.items()}
    pairs = (f'{key}={text}' for key, text in texts.items())
    return shlex.join([*words, '--cfg-options', *pairs])


def short_path(path: str | Path) -> str:
    """A path as the user would type it: below the current folder without the way to it."""
    path = Path(path).resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
