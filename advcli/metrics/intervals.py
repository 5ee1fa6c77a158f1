"""How sure a rate is, given that it was counted over a finite number of images."""

import math

from scipy.stats import beta, t


def clopper_pearson(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bound a rate by the exact binomial interval.

    The interval covers the true rate with at least ``confidence``, whatever that rate is; it never leaves [0, 1] and
    does not shrink to a point at 0 of n or n of n, as the normal approximation would.

    Args:
        hits: how often it happened; 0 to ``count``.
        count: how often it could have happened.
        confidence: coverage in (0, 1).

    Returns:
        Lower and upper bound; (0, 1) where nothing was counted.

    Source: Clopper and Pearson 1934, https://doi.org/10.1093/biomet/26.4.404; as quantiles of the beta distribution
    in Brown, Cai and DasGupta 2001, https://doi.org/10.1214/ss/1009213286, section 4.2.1.
    """
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, count - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return low, high


def mean_interval(mean: float, squares: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bound a mean by Student's t.

    Args:
        mean: of the values.
        squares: sum of the squared deviations from the mean.
        count: number of values, at least 1.
        confidence: of the interval.

    Returns:
        Lower and upper bound; infinite for a single value, which bounds nothing.
    """
    if count < 2:
        return -math.inf, math.inf
    half = float(t.ppf((1 + confidence) / 2, count - 1)) * (squares / (count - 1) / count) ** 0.5
    return mean - half, mean + half
