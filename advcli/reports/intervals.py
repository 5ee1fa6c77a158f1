"""Means over images with their 95 % intervals."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t


def mean_interval(
    values: Sequence[float] | NDArray[np.float64], low: float = -np.inf, high: float = np.inf
) -> dict[str, object]:
    """Average one figure over images.

    Args:
        values: one for each image; NaN where an image has none.
        low: the least that the figure can be; the interval is cut there.
        high: the greatest.

    Returns:
        ``n`` values that are known, their ``mean``, and ``low`` and ``high`` by Student's t; none of none, and no
        interval of one value.
    """
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    count = len(numbers)
    if not count:
        return {"n": 0, "mean": None, "low": None, "high": None}
    mean = float(numbers.mean())
    if count < 2:
        return {"n": count, "mean": mean, "low": None, "high": None}
    half = float(t.ppf(0.975, count - 1) * numbers.std(ddof=1) / np.sqrt(count))
    return {"n": count, "mean": mean, "low": max(mean - half, low), "high": min(mean + half, high)}
