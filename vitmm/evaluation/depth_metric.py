"""mmseg's metrics of depth without keeping every pixel."""

from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmseg.evaluation import DepthMetric as MMSegDepthMetric

from vitmm.errors import ConfigError


class DepthMetric(MMSegDepthMetric):
    """mmseg's ``DepthMetric``, the same figures from nine numbers an image.

    mmseg's keeps depth and prediction of all measured pixels on the model's device until the end:
    1.3 GB for NYU's validation images, which the processes then send to each other. An image of
    which no pixel counts is left out; to mmseg all figures are NaN then. Takes the same arguments.

    Raises:
        ConfigError: ``depth_metrics`` that are none.
    """

    def __init__(self, depth_metrics: str | Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # mmseg's own fails at any choice
        depth_metrics = [depth_metrics] if isinstance(depth_metrics, str) else depth_metrics
        unknown = [name for name in depth_metrics or () if name not in self.METRICS]
        if unknown:
            raise ConfigError(
                f'vitmm.DepthMetric: depth_metrics has no {unknown[0]!r}; there are '
                f'{", ".join(self.METRICS)}.'
            )
        self.metrics = list(depth_metrics or self.METRICS)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compute an image's figures; see mmseg for what is written to ``output_dir``."""
        kept = len(self.results)
        super().process(data_batch, data_samples)
        self.results[kept:] = [
            self._calc_all_metrics(truth.float(), depth.float()) if len(truth) else {}
            for truth, depth in self.results[kept:]
        ]

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """The mean over the images of each figure; NaN where no pixel of any image counts."""
        if self.format_only:
            return super().compute_metrics(results)
        counted = [one for one in results if one]
        if len(counted) < len(results):
            print_log(
                f'{len(results) - len(counted)} of {len(results)} images are not measured: none of '
                f'their pixels has a depth between {self.min_depth_eval} and '
                f'{self.max_depth_eval} metres.',
                logger='current',
                level=30,
            )
        return {
            name: sum(one[name] for one in counted) / len(counted) if counted else float('nan')
            for name in self.metrics
        }
