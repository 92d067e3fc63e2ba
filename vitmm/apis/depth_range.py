"""Depths that a metric does not look at: it says ``nan``, or measures another part, in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from PIL import Image

from vitmm.apis.metric_names import listed
from vitmm.datasets.errors import DataError
from vitmm.datasets.listing import mask_paths
from vitmm.datasets.maps import depth_unit, look_at_depth, shown_size
from vitmm.datasets.sizes import spread
from vitmm.datasets.sources import leaves, read_source

_NYU = (640, 480)  # (width, height) that Eigen's crop is of


def refuse_unmeasured_depth(cfg: Config, loader: str) -> None:
    """Look at a few depth maps, from first to last, as the loader's metric of depth does.

    Args:
        cfg: resolved.
        loader: ``'val_dataloader'`` or ``'test_dataloader'``; others, and evaluators of something
            else, pass.

    Raises:
        DataError: Eigen's crop of images that are not NYU's; no map with a depth that counts.
    """
    metric = _metric(cfg.get(f'{loader.removesuffix("_dataloader")}_evaluator'))
    for leaf in leaves(cfg[loader].dataset) if metric is not None else ():
        source, unit = read_source(leaf, cfg.get('default_scope')), depth_unit(leaf)
        if source.kind != 'depth' or not source.local:
            continue
        pairs = spread(mask_paths(source, cfg.get('default_scope')))
        if metric.get('crop_type') == 'nyu_crop':
            for image, _ in pairs:
                _check_size(image)
        _check_spans([depth for _, depth in pairs if depth], unit, metric)


def _metric(evaluator: Any) -> Mapping[str, Any] | None:
    for one in listed(evaluator):
        if str(one.get('type')).endswith('DepthMetric'):
            return None if one.get('format_only') else one  # which measures nothing
    return None


def _check_size(image: str) -> None:
    try:
        with Image.open(image) as file:
            size = file.size
    except OSError:  # that is told of where images are read
        return
    if size != _NYU:
        raise DataError(
            f"{image} has {shown_size(size)} pixels, and eval_crop='nyu_crop' is a part of "
            f'{shown_size(_NYU)}, that of NYU Depth v2: set eval_crop=None to measure all of it'
        )


def _check_spans(paths: Sequence[str], unit: float, metric: Mapping[str, Any]) -> None:
    low, high = metric.get('min_depth_eval', 0), metric.get('max_depth_eval', float('inf'))
    beyond = ''
    for path in paths:
        span = look_at_depth(path, None, unit).span
        if span and span[1] > low and span[0] < high:
            return
        if span and not beyond:
            beyond = f'{path} has depths of {span[0]:.4g} to {span[1]:.4g} m'
    if beyond:
        raise DataError(
            f'{beyond}, and neither it nor another map that was looked at has one between '
            f'min_eval={low:g} and max_eval={high:g}: every metric would be nan. One step of its '
            f'values is depth_unit={unit:g} m (0.001 for millimetres)'
        )
