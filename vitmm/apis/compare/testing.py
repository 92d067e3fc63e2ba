"""One test of a pairing: its scores, its results by class, a few drawn predictions."""

import math
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from vitmm.apis.checkpoints import check_belongs, find_last
from vitmm.apis.compare.jobs import plain
from vitmm.apis.compare.logs import read_run
from vitmm.apis.compare.per_class import ask, take_apart
from vitmm.apis.launch import build_runner, prepare
from vitmm.apis.switches import test_with_amp
from vitmm.apis.test import draw_into
from vitmm.datasets.sources import leaves
from vitmm.engine.hooks.draw_some import DrawSome
from vitmm.errors import ConfigError

_SIDE = 320  # pixels that text is written on


def test_run(told: dict, folder: Path) -> dict:
    """Test a pairing's checkpoint and draw the same few images for every backbone.

    Args:
        told: what ``Job.write`` wrote; without a ``checkpoint`` the last of the folder is taken.
        folder: of the run.

    Returns:
        ``checkpoint``, ``scores`` by name, ``per_class`` (``{'what': …, 'values': {class: …}}``),
        ``shown``: names of files under ``folder/shown``.

    Raises:
        ConfigError: there is no checkpoint.
    """
    checkpoint = told['checkpoint'] or find_last(folder)
    if not checkpoint:
        raise ConfigError(f'{folder} holds no checkpoint to test: the config saves none.')
    cfg = prepare(
        told['recipe'],
        data=told['data'],
        options=told['options'],
        work_dir=folder / 'test',
        loaders=('test_dataloader',),
    )
    cfg.load_from, cfg.resume = str(checkpoint), False
    if told['amp']:
        test_with_amp(cfg)
    if class_names(cfg):
        cfg.test_evaluator = ask(cfg.test_evaluator)
    shown = folder / 'shown'
    draws = told['samples'] > 0 and cfg.get('default_hooks', {}).get('visualization')
    if draws:
        draw_into(cfg, shown, 1)
        hook = cfg.default_hooks.visualization.hook
        if hook.type == 'mmpretrain.VisualizationHook':  # it writes on the image
            hook.setdefault('resize', _SIDE)
    check_belongs(cfg, checkpoint)
    runner = build_runner(cfg)
    _spread_drawings(runner, told['samples'])
    found = plain(runner.test())
    scores, what, by_class = take_apart(found, class_names(cfg))
    files = sorted(str(file.relative_to(shown)) for file in shown.rglob('*.[jp][pn]g'))
    return {
        **(_of_training(Path(checkpoint).parent) if told['checkpoint'] else {}),
        'checkpoint': str(checkpoint),
        'scores': scores,
        'per_class': {'what': what, 'values': by_class},
        'shown': files,
    }


def class_names(cfg: Config) -> list[str]:
    """The classes that a resolved config's test data names."""
    dataset = leaves(cfg.test_dataloader.dataset)[0]
    return [str(name) for name in (dataset.get('metainfo') or {}).get('classes', ())]


def _of_training(folder: Path) -> dict:
    """What the logs beside a given checkpoint tell of its training, where there are any."""
    try:
        return read_run(folder)
    except ConfigError:
        return {}


def _spread_drawings(runner: Runner, samples: int) -> None:
    """Draw ``samples`` images, evenly from the first to the last; which, is the data's affair."""
    for hook in runner.hooks:
        if isinstance(hook, DrawSome):
            hook.every = max(1, math.ceil(len(runner.test_dataloader) / max(samples, 1)))
