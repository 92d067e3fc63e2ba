"""What frozen features know: a ranking of many backbones in the time of one training."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from vitmm.apis.compare.probe.boxes import name_boxes
from vitmm.apis.compare.probe.dense import measure_depth, segment
from vitmm.apis.compare.probe.whole import classify, several_labels
from vitmm.apis.launch import build_runner, prepare
from vitmm.config.kinds import kind_of
from vitmm.errors import ConfigError

DENSE = {'EncoderDecoder': segment, 'DepthEstimator': measure_depth}


def probe(told: dict, folder: Path) -> dict:
    """Fit a linear model on frozen features of the training data, and measure it on the test data.

    Training images go through the test pipeline. Classification: pooled features, also by their
    nearest neighbours where an image has one class. Segmentation and depth: the maps of all
    strides, each pixel's class or the logarithm of its depth at the centre of a cell. Detection:
    the maps averaged over each labelled box, and its class; where the boxes are is given, so this
    says nothing of finding them. All but these two accuracies are the recipe's own metrics.

    Args:
        told: what ``Job.write`` wrote.
        folder: of the backbone.

    Returns:
        ``scores``, ``per_class``, and ``pretrained``: whether the backbone had weights.

    Raises:
        ConfigError: a task that has no probe.
    """
    cfg = prepare(
        told['recipe'],
        data=told['data'],
        options=told['options'],
        work_dir=folder / 'probe',
        loaders=('train_dataloader', 'test_dataloader'),
    )
    task = task_of(cfg)
    runner = build_runner(cfg)
    runner._init_model_weights()
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    model = runner.model.eval()
    scores, per_class = task(model, cfg, told['amp'])
    pretrained = bool(cfg.model.backbone.get('pretrained'))
    return {'scores': scores, 'per_class': per_class, 'pretrained': pretrained}


def task_of(cfg: Config) -> Any:
    """The function that probes the task of a config, resolved or not.

    Raises:
        ConfigError: it has none.
    """
    kind = kind_of(cfg.model)
    if kind == 'ImageClassifier':
        several = 'MultiLabel' in (cfg.model.get('head') or {}).get('type', '')
        return several_labels if several else classify
    if kind in DENSE:
        return DENSE[kind]
    if cfg.get('default_scope') == 'mmdet':
        return name_boxes
    raise ConfigError(
        f'--mode probe is offered for classification, segmentation, depth and detection, not for '
        f'{kind}.'
    )
