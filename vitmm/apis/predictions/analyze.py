"""Test once, and tell what went wrong."""

import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from vitmm.apis.checkpoints import check_belongs, check_classes, load_pretrained
from vitmm.apis.launch import build_runner, prepare
from vitmm.apis.predictions.choose import choose_task
from vitmm.apis.predictions.records import Records
from vitmm.apis.predictions.write import write_analysis
from vitmm.apis.switches import test_with_amp, test_with_tta
from vitmm.apis.windows import check_display
from vitmm.compat.checkpoint import PUBLISHED_CONFIG
from vitmm.datasets.classes import given_classes
from vitmm.datasets.sources import leaves
from vitmm.errors import ConfigError, VitmmError


def analyze_predictions(
    config: str | Path,
    checkpoint: str | Path | None,
    *,
    out: str | Path,
    split: str = 'test',
    number: int = 20,
    score: float | None = None,
    iou: float = 0.5,
    amp: bool = False,
    tta: bool = False,
    tensorboard: str | Path | None = None,
    show: bool = False,
    data: str | None = None,
    launcher: str = 'none',
    options: Mapping[str, Any] | None = None,
) -> str:
    """Compare a model's predictions with the truth, image by image and class by class.

    The test set is gone through once, by MMEngine's own loop.

    - Classification: images by loss, the confusion matrix.
    - Detection: images by F1, the confusion matrix with a row and a column for the background, and
      COCO's error analysis of boxes and masks. Where model and data have masks, detections are
      matched to objects by them, or else by boxes.
    - Segmentation: images by mean IoU, the confusion matrix of pixels.
    - Several labels an image: images by loss, right, missed and false ones of each class.
    - Depth: images by absolute relative error.

    Args:
        config: the config that the checkpoint was trained with, or a published folder.
        checkpoint: a ``.pth`` file, a published folder or its ``.safetensors``; None where
            ``config`` is such a folder, or for timm's own classifier with its pretrained weights.
        out: the folder of ``report.html``, ``analysis.json``, ``worst.csv`` (all images),
            ``worst/001_<measure>_<name>.jpg``, ``worst.jpg`` (these on one picture),
            ``confusion.png``, ``.csv`` and ``.json``, ``errors_bbox.png`` and ``.csv``, ….
        split: ``'test'`` or ``'val'``.
        number: of worst images to draw.
        score: from which on detections count (0.3 by default), or classes of several (0.5); COCO's
            analysis takes all detections.
        iou: of masks or boxes, from which on a detection is an object.
        amp: automatic mixed precision (bfloat16).
        tta: test-time augmentation, as the config's ``tta_model`` and ``tta_pipeline`` say.
        tensorboard: a folder for an event file with the pictures.
        show: open a window for each worst image.
        data: name or path of another data set for the recipe.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        In words: how well it did, what is worst, where everything lies. Empty in all processes but
        the first.

    Raises:
        VitmmError: whatever the user can mend, in one message.
    """
    out = Path(out)
    _check(out, split, number, score, iou, show)
    folder = Path(config)
    if folder.is_dir():
        config, checkpoint = folder / PUBLISHED_CONFIG, checkpoint or folder
    cfg = prepare(
        config,
        data=data,
        options=options,
        work_dir=out / 'logs',
        launcher=launcher,
        loaders=(f'{split}_dataloader',),
    )
    _take_split(cfg, split)
    cfg.load_from, cfg.resume = None if checkpoint is None else str(checkpoint), False
    channels = _channels(cfg)
    if tta:
        test_with_tta(cfg)
    if amp:
        test_with_amp(cfg)
    known = [] if checkpoint is None else check_belongs(cfg, checkpoint)
    check_classes(known, given_classes(leaves(cfg.test_dataloader.dataset)[0]), checkpoint)
    runner = build_runner(cfg)
    if checkpoint is None:
        load_pretrained(runner)
    classes = runner.test_loop.dataloader.dataset.metainfo.get('classes')
    check_classes(known, classes, checkpoint)
    task = choose_task(runner, score, iou)
    records = Records(task, number)
    runner.test_loop.evaluator.metrics.append(records)
    scores = {name: float(value) for name, value in runner.test().items() if _is_figure(value)}
    if not is_main_process():
        return ''
    analysis = task.analyse(records.found)
    analysis.content = {
        'config': str(config),
        'checkpoint': 'pretrained weights' if checkpoint is None else str(checkpoint),
        'split': split,
        'images': len(records.found),
        'metrics': scores,
        **analysis.content,
    }
    if -1 in scores.values():  # pycocotools'
        analysis.notes.append('Of -1 are figures of sizes of which there are no objects.')
    try:
        return write_analysis(
            analysis, task, out, number, channels, tensorboard=tensorboard, show=show
        )
    except OSError as error:
        raise VitmmError(f'{out} cannot be written: {error}.') from error


def _check(out: Path, split: str, number: int, score: float | None, iou: float, show: bool) -> None:
    if split not in ('val', 'test'):
        raise ConfigError(f"--split is 'val' or 'test', not {split!r}.")
    if number < 1:
        raise ConfigError(f'--number is 1 or more, not {number}.')
    if score is not None and not 0 <= score <= 1:
        raise ConfigError(f'--score is 0 to 1, not {score}.')
    if not 0 < iou <= 1:
        raise ConfigError(f'--iou is above 0 and at most 1, not {iou}.')
    if out.exists() and not out.is_dir():
        raise ConfigError(f'--out {out} is a file; name a folder.')
    if show:
        check_display()


def _take_split(cfg: Config, split: str) -> None:
    for part in ('dataloader', 'evaluator'):
        if not cfg.get(f'{split}_{part}'):
            raise ConfigError(f'{cfg.filename} has no {split}_{part}: there is nothing to compare.')
        cfg[f'test_{part}'] = cfg[f'{split}_{part}']
    if not cfg.get('test_cfg'):
        cfg.test_cfg = dict(type='TestLoop')


def _is_figure(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)  # NumPy's, too


def _channels(cfg: Config) -> int:
    """Channels of the images, as the recipe's loader says."""
    return cfg.model.get('backbone', {}).get('in_chans') or 3
