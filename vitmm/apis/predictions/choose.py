"""Which analysis suits a model and its data."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.models.heads import MultiLabelClsHead

from vitmm.apis.class_counts import named_classes
from vitmm.apis.metric_names import listed
from vitmm.apis.predictions.classification import Classification
from vitmm.apis.predictions.depth import Depth
from vitmm.apis.predictions.detection import Detection
from vitmm.apis.predictions.segmentation import Segmentation
from vitmm.apis.predictions.several_labels import SeveralLabels
from vitmm.apis.predictions.task import Task
from vitmm.apis.predictions.truths import Truths
from vitmm.config.kinds import kind_of
from vitmm.datasets.loading import IGNORED
from vitmm.datasets.sources import dataset_class, leaves
from vitmm.engine.wrapping import bare
from vitmm.errors import ConfigError
from vitmm.inference.stored_model import task_of

_DEPTH_SETTINGS = ('min_depth_eval', 'max_depth_eval', 'crop_type')


def choose_task(runner: Runner, score: float | None, iou: float) -> Task:
    """The analysis that suits a model and its data.

    Args:
        runner: that will test.
        score: from which on detections or classes count; None for what is usual.
        iou: from which on a detection is an object.

    Raises:
        VitmmError: data without images, classes or annotations, or a model that predicts none of
            what can be compared.
    """
    cfg, dataset = runner.cfg, runner.test_loop.dataloader.dataset
    if not len(dataset):
        raise ConfigError('the test set has no images.')
    model = bare(runner.model)
    kind = task_of(model)
    if kind == 'depth':
        settings = _metric(cfg, 'DepthMetric')
        return Depth({key: settings[key] for key in _DEPTH_SETTINGS if key in settings})
    classes = [str(name) for name in dataset.metainfo.get('classes') or ()]
    if not classes:
        raise ConfigError('the test set names no classes: set metainfo.classes of its data set.')
    if kind == 'det':  # what it finds of others counts for nothing, as in COCO's figures
        truths = Truths(dataset, cfg.test_dataloader.dataset, cfg.get('default_scope'))
        return Detection(truths, 0.3 if score is None else score, iou)
    classes = named_classes(classes, cfg.model)
    if kind == 'seg':
        ignored = _metric(cfg, 'IoUMetric').get('ignore_index', IGNORED)
        return Segmentation(classes, _palette(runner), ignored)
    if isinstance(getattr(model, 'head', None), MultiLabelClsHead):
        return SeveralLabels(classes, 0.5 if score is None else score)
    return Classification(classes)


def _palette(runner: Runner) -> Any:
    """The data's own colours; None where mmseg made some up, which are hard to tell apart."""
    own = leaves(runner.cfg.test_dataloader.dataset)[0]
    named = (own.get('metainfo') or {}).get('palette')
    named = named or dataset_class(own, runner.cfg.get('default_scope')).METAINFO.get('palette')
    return runner.test_loop.dataloader.dataset.metainfo.get('palette') if named else None


def _metric(cfg: Config, name: str) -> Mapping[str, Any]:
    """The settings of a metric among the evaluator's, {} if it is not there."""
    for one in listed(cfg.test_evaluator):
        if kind_of(one) == name:
            return one
    return {}
