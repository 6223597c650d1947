"""Small sums: percentiles and medians of latencies."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np


def percentile(values: Sequence[float], percent: float) -> float:
    """Between the two nearest values, in proportion."""
    return float(np.percentile(np.asarray(values, float), percent))


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))
