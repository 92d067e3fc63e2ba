"""Evaluate a checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process

from vitmm.apis.checkpoints import check_belongs, load_pretrained
from vitmm.apis.launch import build_runner, prepare
from vitmm.apis.refusals import refusals_explained
from vitmm.apis.report import summarize_test
from vitmm.apis.switches import test_with_amp, test_with_tta
from vitmm.compat.checkpoint import PUBLISHED_CONFIG
from vitmm.config.beside import beside_training
from vitmm.config.kinds import kind_of
from vitmm.engine.hooks.progress import stop_progress
from vitmm.engine.workers import end_workers
from vitmm.errors import ConfigError
from vitmm.writing import check_writable, writing

# How each codebase's visualization hook is told to draw test images into a folder. mmseg's
# draws through the visualizer, whose folder is set instead.
_DRAW = {
    'DetVisualizationHook': lambda folder: dict(draw=True, test_out_dir=folder),
    'SegVisualizationHook': lambda folder: dict(draw=True),
    'VisualizationHook': lambda folder: dict(enable=True, out_dir=folder),
}


def test(
    config: str | Path,
    checkpoint: str | Path | None,
    *,
    work_dir: str | Path | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    show_interval: int | None = None,
    tta: bool = False,
    amp: bool = False,
    data: str | None = None,
    launcher: str = 'none',
    options: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        config: the config that the checkpoint was trained with, or a folder that
            ``tools/publish_model.py`` wrote, which has both.
        checkpoint: a ``.pth`` file of ours or of an OpenMMLab codebase, a published folder or its
            ``.safetensors``; None measures timm's own classifier with its pretrained weights
            (``configs/cls/timm_classifier.py``).
        work_dir: where logs go; ``work_dirs/<config name>`` by default.
        out: a ``.pkl`` file for the raw predictions.
        show_dir: a folder for drawn predictions.
        show_interval: draw one image of every n-th batch; all images by default.
        tta: test-time augmentation, as the config's ``tta_model`` and ``tta_pipeline`` say.
        amp: automatic mixed precision (bfloat16).
        data: name or path of another data set for the recipe.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        The metrics by name, as the evaluator gives them.

    Raises:
        VitmmError: whatever the user can mend, in one message.
    """
    folder = Path(config)
    if folder.is_dir():
        config, checkpoint = folder / PUBLISHED_CONFIG, checkpoint or folder
        work_dir = work_dir or Path('work_dirs') / folder.resolve().name
    cfg = prepare(
        config,
        data=data,
        options=options,
        work_dir=work_dir,
        launcher=launcher,
        loaders=('test_dataloader',),
        tracked=any(key.startswith('trackers') for key in options or ()),
    )
    cfg.load_from, cfg.resume = None if checkpoint is None else str(checkpoint), False
    for place, name in ((show_dir, '--show-dir'), (out and Path(out).parent, '--out in')):
        if place is not None:
            check_writable(place, name)
    if show_dir is not None:
        draw_into(cfg, Path(show_dir).resolve(), show_interval)
    if tta:
        test_with_tta(cfg)
    if amp:
        test_with_amp(cfg)
    if out is not None:
        _dump_into(cfg, Path(out))
    if checkpoint is not None:
        check_belongs(cfg, checkpoint)
    places = ('--out', out), ('--show-dir', show_dir), ('work dir', cfg.work_dir)
    with refusals_explained(cfg, options), writing(*places):
        runner = build_runner(beside_training(cfg, 'test'))
        if checkpoint is None:
            load_pretrained(runner)
        try:
            metrics = runner.test()
        finally:
            stop_progress(runner)
            end_workers(runner)
    if is_main_process():
        written = [path for path in (out, show_dir) if path is not None]
        if show_dir is not None and get_world_size() > 1:
            runner.logger.warning(
                f'{show_dir} has what the first of {get_world_size()} processes tested: one alone '
                'draws all images.'
            )
        runner.logger.info(f'\n{summarize_test(runner, checkpoint, metrics, written)}\n')
    return metrics


def draw_into(cfg: Config, folder: Path, interval: int | None) -> None:
    hook = cfg.get('default_hooks', {}).get('visualization')
    kind = kind_of(hook) or None
    if kind not in _DRAW:
        raise ConfigError(
            'show_dir: the config has no visualization hook of mmdet, mmseg or mmpretrain in '
            f'default_hooks.visualization, but {kind}.'
        )
    hook.update(_DRAW[kind](str(folder)))
    hook.interval = 1
    if interval:
        cfg.default_hooks.visualization = dict(type='vitmm.DrawSome', hook=hook, every=interval)
    if kind == 'SegVisualizationHook':
        cfg.visualizer.save_dir = str(folder)


def _dump_into(cfg: Config, file: Path) -> None:
    if file.suffix not in ('.pkl', '.pickle'):
        raise ConfigError(f'out: predictions are written as .pkl, not {file.suffix or "nothing"}.')
    evaluators = cfg.test_evaluator
    cfg.test_evaluator = [
        *(evaluators if isinstance(evaluators, list) else [evaluators]),
        dict(type='vitmm.DumpResults', out_file_path=str(file)),
    ]
