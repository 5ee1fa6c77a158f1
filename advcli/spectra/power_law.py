"""A power law fitted to the tail of a spectrum, as WeightWatcher does it, at a hundredth of the cost.

For each eigenvalue as the smallest of the tail, the exponent is the maximum-likelihood one, and D the largest distance
between the tail's distribution and the law. The tail with the smallest D wins. A few places of each tail already bound
its D from below, so that only the few tails whose bound is small enough are measured in full: the winner is the same.

Source: Clauset, Shalizi and Newman 2009, https://arxiv.org/abs/0706.1062, sections 3.1 and 3.3.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-5  # eigenvalues below count as zero; WeightWatcher's own, absolute, bound
FEW = 20  # with fewer eigenvalues the corrected estimate is used
_LEAST_TAIL = 8  # of the corrected estimate
_NOTHING = 1e-12  # of the logarithms of a tail, summed: all its values are the same
_PLACES = 64  # of a tail that are looked at for its lower bound
_PENALTY = 0.868  # of short tails, over the square root of their length


@dataclass(frozen=True)
class PowerLaw:
    """The density ``x ** -alpha`` from ``xmin`` on.

    Args:
        alpha: exponent.
        sigma: its standard error, ``(alpha - 1) / sqrt(tail)``.
        xmin: where the tail begins.
        distance: Kolmogorov-Smirnov distance between tail and law, D.
        tail: number of eigenvalues in the tail.
    """

    alpha: float
    sigma: float
    xmin: float
    distance: float
    tail: int


def fit_tail(eigenvalues: NDArray[np.floating]) -> PowerLaw | None:
    """Fit a power law to the tail that follows one best.

    Args:
        eigenvalues: not negative, in any order; those below ``SMALLEST`` are left out.

    Returns:
        The fit, or none where no tail falls off as a power law, such as equal eigenvalues.
    """
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64))
    values = values[values > SMALLEST]
    if len(values) < 2:
        return None
    few = len(values) < FEW
    logs = np.log(values)
    count = np.arange(len(values), 0, -1)[:-1]  # length of each tail
    excess = np.cumsum(logs[::-1])[::-1][:-1] - count * logs[:-1]  # sum of log(x / xmin) over each tail
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(excess > _NOTHING, 1 + (count - few) / excess, 0.0)
    usable = (alpha > 1) & (count >= (_LEAST_TAIL if few else 1))
    penalty = _PENALTY / np.sqrt(count) if few else np.zeros(len(count))
    bound = np.where(usable, _bounds(logs, alpha, count) - penalty, np.inf)
    best: tuple[float, int] = (np.inf, -1)
    for place in map(int, np.argsort(bound, kind="stable")):
        if bound[place] > best[0] or not usable[place]:
            break
        exponent = _exponent(logs, place, few=few)
        best = min(best, (_distance(values, exponent, place) - float(penalty[place]), place))
    if best[1] < 0:
        return None
    place, length, found = best[1], int(count[best[1]]), _exponent(logs, best[1], few=few)
    sigma = (found - 1) / math.sqrt(length)
    return PowerLaw(found, sigma, float(values[place]), _distance(values, found, place), length)


def _exponent(logs: NDArray[np.float64], place: int, *, few: bool) -> float:
    """Most likely exponent of one tail; the sum is the library's own, so that its last digit is."""
    count = float(len(logs) - place)
    return 1 + (count - few) / float(np.sum(logs[place:]) - count * logs[place])


def _distance(values: NDArray[np.float64], alpha: float, place: int) -> float:
    tail = values[place:]
    law = 1 - (tail / tail[0]) ** (-alpha + 1)
    return float(np.max(np.abs(law - np.arange(float(len(tail))) / len(tail))))


def _bounds(logs: NDArray[np.float64], alpha: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bound the distance of each tail from below, by a few places of it."""
    size = len(logs)
    places = np.unique(np.append(np.arange(0, size, max(1, size // _PLACES)), size - 1))
    bound = np.zeros(len(alpha))
    first = np.arange(len(alpha))
    for place in places:
        inside = first[: min(place + 1, len(first))]
        law = 1 - np.exp((1 - alpha[inside]) * (logs[place] - logs[inside]))
        bound[inside] = np.maximum(bound[inside], np.abs(law - (place - inside) / count[inside]))
    return bound * (1 - 1e-9)  # exp of a difference of logarithms differs from the power in the last bits
