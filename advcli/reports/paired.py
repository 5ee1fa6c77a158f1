"""Two models, or two attacks, on the same pictures: does one of them differ, and by how much."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t


def mcnemar(only_first: int, only_second: int) -> float:
    """Test whether two rates on the same pictures differ, exactly.

    Args:
        only_first: pictures that are hits of the first alone.
        only_second: pictures that are hits of the second alone.

    Returns:
        Two-sided p value: of pictures on which the two disagree, each side is as likely as the other. 1 for none.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996, with the binomial distribution itself.
    """
    both = only_first + only_second
    return float(binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def ratio(both: int, only_first: int, only_second: int, level: float = 0.95) -> tuple[float, float, float] | None:
    """Estimate the rate of the second over the rate of the first, on the same pictures.

    Args:
        both: pictures that are hits of both.
        only_first: pictures that are hits of the first alone.
        only_second: pictures that are hits of the second alone.
        level: of the interval.

    Returns:
        The ratio and its interval, from two Wilson intervals whose level is chosen such that their quotient has the
        level wanted; none where the first has no hit.

    Source: Bonett and Price 2006, https://doi.org/10.1002/sim.2440.
    """
    first, second = both + only_first, both + only_second
    if not first:
        return None
    known = both + only_first + only_second
    wide = math.sqrt((only_first + only_second + 2) / ((first + 1) * (second + 1)))
    parts = [math.sqrt((1 - (hits + 1) / (known + 2)) / (hits + 1)) for hits in (first, second)]
    z = float(norm.ppf(0.5 + level / 2)) * wide / sum(parts)
    (low_first, high_first), (low_second, high_second) = (_wilson(hits, known, z) for hits in (first, second))
    return second / first, low_second / high_first, high_second / low_first


def difference(
    only_first: int, only_second: int, count: int, level: float = 0.95
) -> tuple[float | None, float | None, float | None]:
    """Estimate the rate of the first minus the rate of the second, on the same pictures.

    Args:
        only_first: pictures that are hits of the first alone.
        only_second: pictures that are hits of the second alone.
        count: all pictures.
        level: of the interval.

    Returns:
        The difference of the rates and its adjusted Wald interval, within [-1, 1]; none of no picture.

    Source: Bonett and Price 2012, https://doi.org/10.3102/1076998611411915.
    """
    if not count:
        return None, None, None
    first, second = (only_first + 1) / (count + 2), (only_second + 1) / (count + 2)
    middle = first - second
    spread = float(norm.ppf(0.5 + level / 2)) * math.sqrt((first + second - middle**2) / (count + 2))
    return (only_first - only_second) / count, max(-1.0, middle - spread), min(1.0, middle + spread)


def mean_difference(gaps: NDArray[np.float64], level: float = 0.95) -> tuple[float | None, float | None, float | None]:
    """Give the mean of paired differences with its Student interval.

    Args:
        gaps: finite, one for each pair.
        level: of the interval.

    Returns:
        Mean, low, high; no bounds of fewer than two, nothing of none.
    """
    if not len(gaps):
        return None, None, None
    mean = float(gaps.mean())
    if len(gaps) < 2:
        return mean, None, None
    spread = float(t.ppf(0.5 + level / 2, len(gaps) - 1)) * float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    return mean, mean - spread, mean + spread


def _wilson(hits: int, count: int, z: float) -> tuple[float, float]:
    middle, spread = 2 * hits + z * z, z * math.sqrt(z * z + 4 * hits * (1 - hits / count))
    return (middle - spread) / (2 * (count + z * z)), (middle + spread) / (2 * (count + z * z))
