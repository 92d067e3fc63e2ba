"""What to type after a training."""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import Runner

from vitmm.config import load_config
from vitmm.errors import VitmmError

OTHERS = ('resnet18', 'convnext_atto')  # backbones that are named for another one


def next_commands(
    runner: Runner,
    config: Path,
    dumped: str,
    last: str | None,
    error: BaseException | None,
    data: str | None,
    options: Mapping[str, Any],
    switches: Sequence[str] = (),
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
        switches: of ``tools/train.py`` that were given, as ``'--amp'``.
    """
    work_dir, last = short_path(runner.work_dir), last and short_path(last)
    if error and last:
        # The dumped config has what the other switches change.
        kept = [switch for switch in switches if switch == '--fsdp']
        resumed = shlex.join(['--work-dir', work_dir, '--resume', *kept])
        yield f'{_train(runner, dumped)} {resumed}'
    if any('Tensorboard' in name for name in runner.visualizer._vis_backends):
        yield shlex.join(['tensorboard', '--logdir', work_dir])
    if runner.cfg.get('test_dataloader'):  # pretraining has none, and takes some backbones only
        if last:  # whole, however many processes have trained it
            shown = ['--show-dir', f'{work_dir}/shown']
            yield shlex.join(['python', _tool('test.py'), dumped, last, *shown])
            results = ['--out', f'{work_dir}/results']
            yield shlex.join(['python', _tool('infer.py'), last, 'IMAGES', *results])
        name = runner.cfg.get('model', {}).get('backbone', {}).get('model_name')
        if not error and name and _has_holes(config, data):
            other = next(one for one in OTHERS if one != name.partition('.')[0])
            again = _again(other, data, options, switches, f'{work_dir}_{other}')
            yield f'{_train(runner, str(config))} {again}'


def _train(runner: Runner, config: str) -> str:
    """How a training of ``config`` is started as this one was, on as many processes."""
    launcher, config = runner.cfg.get('launcher', 'none'), shlex.quote(config)
    command = f'python {shlex.quote(_tool("train.py"))} {config}'
    if launcher == 'none':
        return command
    if launcher != 'pytorch':
        starter = {'slurm': 'srun', 'mpi': 'mpirun'}.get(launcher, '')
        return f'{starter} … {command} --launcher {launcher}'.strip()
    here = int(os.environ.get('LOCAL_WORLD_SIZE', get_world_size()))
    machines = get_world_size() // here
    several = f'NNODES={machines} NODE_RANK=… MASTER_ADDR=… ' if machines > 1 else ''
    starter = _tool('dist_train.sh')
    starter = starter if '/' in starter else f'./{starter}'
    return f'{several}{shlex.quote(starter)} {config} {here}'


def _tool(name: str) -> str:
    """The tool beside the one that was started, which may be another folder's."""
    folder = Path(sys.argv[0]).parent
    return short_path(folder / name) if (folder / '_torchrun.sh').is_file() else f'tools/{name}'


def _has_holes(config: Path, data: str | None) -> bool:
    """Whether another backbone fits into a recipe: the numbers of the one it has may be written."""
    try:
        return '${backbone.' in str(load_config(config, data))
    except VitmmError:  # the file is gone, or another one
        return False


def _again(
    other: str,
    data: str | None,
    options: Mapping[str, Any],
    switches: Sequence[str],
    work_dir: str,
) -> str:
    """Its arguments with another backbone, and a folder that is not this one's."""
    swapped = re.compile(r'model\.backbone\.model_(name|kwargs)(\..*)?')
    kept = {key: value for key, value in options.items() if not swapped.fullmatch(key)}
    kept['model.backbone.model_name'] = other
    texts = {key: value if isinstance(value, str) else repr(value) for key, value in kept.items()}
    pairs = (f'{key}={text}' for key, text in texts.items())
    given = ['--data', data] if data else []
    return shlex.join([*switches, *given, '--work-dir', work_dir, '--cfg-options', *pairs])


def short_path(path: str | Path) -> str:
    """A path as the user would type it: below the current folder without the way to it."""
    path = Path(path).resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
