"""Repeated measurements in three figures."""

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of at least one value."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return {
        'median': statistics.median(ordered),
        'low': ordered[quarter],
        'high': ordered[-1 - quarter],
    }
