"""Test once, and tell what went wrong."""

import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from vitmm.apis.checkpoints import check_belongs, load_pretrained
from vitmm.apis.launch import build_runner, prepare
from vitmm.apis.predictions.classification import Classification
from vitmm.apis.predictions.depth import Depth
from vitmm.apis.predictions.detection import Detection
from vitmm.apis.predictions.records import Records
from vitmm.apis.predictions.segmentation import Segmentation
from vitmm.apis.predictions.several_labels import SeveralLabels
from vitmm.apis.predictions.task import Task
from vitmm.apis.predictions.truths import Truths
from vitmm.apis.predictions.write import write_analysis
from vitmm.apis.switches import test_with_amp
from vitmm.apis.windows import check_display
from vitmm.compat.checkpoint import PUBLISHED_CONFIG, load_checkpoint_file
from vitmm.datasets.loading import IGNORED
from vitmm.datasets.sources import dataset_class, leaves
from vitmm.errors import ConfigError, VitmmError
from vitmm.inference.stored_model import task_of

_DEPTH_SETTINGS = ('min_depth_eval', 'max_depth_eval', 'crop_type')


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
      COCO's error analysis of boxes and masks.
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
        iou: of boxes, from which on a detection is an object.
        amp: automatic mixed precision (bfloat16).
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
    if amp:
        test_with_amp(cfg)
    runner = build_runner(cfg)
    if checkpoint is None:
        load_pretrained(runner)
    else:
        check_belongs(runner.model, checkpoint)
    task = _task(runner, checkpoint, score, iou)
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
    try:
        return write_analysis(
            analysis, task, out, number, _channels(cfg), tensorboard=tensorboard, show=show
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


def _task(runner: Runner, checkpoint: str | Path | None, score: float | None, iou: float) -> Task:
    """The analysis that suits a model and its data."""
    cfg, dataset = runner.cfg, runner.test_loop.dataloader.dataset
    if not len(dataset):
        raise ConfigError('the test set has no images.')
    kind = task_of(getattr(runner.model, 'module', runner.model))
    if kind == 'depth':
        settings = _metric(cfg, 'DepthMetric')
        return Depth({key: settings[key] for key in _DEPTH_SETTINGS if key in settings})
    classes = [str(name) for name in dataset.metainfo.get('classes') or ()]
    if not classes:
        raise ConfigError('the test set names no classes: set metainfo.classes of its data set.')
    if checkpoint is not None:
        _check_classes(checkpoint, classes)
    if kind == 'det':
        truths = Truths(dataset, cfg.test_dataloader.dataset, cfg.get('default_scope'))
        return Detection(truths, 0.3 if score is None else score, iou)
    if kind == 'seg':
        ignored = _metric(cfg, 'IoUMetric').get('ignore_index', IGNORED)
        return Segmentation(classes, _palette(runner), ignored)
    if 'MultiLabel' in str(cfg.model.get('head', {}).get('type')):
        return SeveralLabels(classes, 0.5 if score is None else score)
    return Classification(classes)


def _palette(runner: Runner) -> Any:
    """The data's own colours; None where mmseg made some up, which are hard to tell apart."""
    own = next(leaves(runner.cfg.test_dataloader.dataset))
    named = (own.get('metainfo') or {}).get('palette')
    named = named or dataset_class(own, runner.cfg.get('default_scope')).METAINFO.get('palette')
    return runner.test_loop.dataloader.dataset.metainfo.get('palette') if named else None


def _check_classes(checkpoint: str | Path, classes: list[str]) -> None:
    """Raise where a checkpoint says that it knows as many classes, but other ones."""
    meta = load_checkpoint_file(checkpoint).get('meta')
    known = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    known = [str(name) for name in (known or {}).get('classes') or ()]
    if known and known != classes:
        at = next(
            (n for n, pair in enumerate(zip(known, classes, strict=False)) if len({*pair}) > 1), 0
        )
        raise ConfigError(
            f'{checkpoint} was trained on {len(known)} classes and the data has {len(classes)}, or '
            f"others: class {at} is '{known[at]}' there and '{classes[at]}' here. Name the data "
            'that has its classes (--data, --cfg-options data_root=…).'
        )


def _metric(cfg: Config, name: str) -> Mapping[str, Any]:
    """The settings of a metric among the evaluator's, {} if it is not there."""
    evaluator = cfg.test_evaluator
    for one in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        if str(one.get('type')).rpartition('.')[2] == name:
            return one
    return {}


def _is_figure(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)  # NumPy's, too


def _channels(cfg: Config) -> int:
    """Channels of the images, as the recipe's loader says."""
    return cfg.model.get('backbone', {}).get('in_chans') or 3
