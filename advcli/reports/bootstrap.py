"""Means over images with bootstrap intervals, for many figures of the same images at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t, ttest_1samp

RESAMPLES = 2000
FEWEST = 8  # values from which an interval is given; the percentiles of fewer say little
_CHUNK = 1_000_000  # numbers of a block of resamples, so that memory does not grow with the images
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Means:
    """Means of several figures, (C,) each.

    Args:
        n: values that are defined.
        undefined: values that are not.
        mean: NaN where there is no value.
        low: lower end of the 95 % interval; NaN for fewer than ``FEWEST`` values.
        high: upper end.
    """

    n: NDArray[np.int64]
    undefined: NDArray[np.int64]
    mean: Values
    low: Values
    high: Values

    def row(self, column: int) -> dict[str, object]:
        """Give one figure as a row: ``n``, ``undefined``, ``mean``, ``low`` and ``high``, none for NaN."""
        ends = {name: float(getattr(self, name)[column]) for name in ("mean", "low", "high")}
        known = {name: None if np.isnan(value) else value for name, value in ends.items()}
        return {"n": int(self.n[column]), "undefined": int(self.undefined[column]), **known}


def mean_intervals(values: Values, *, seed: int = 0, resamples: int = RESAMPLES, level: float = 0.95) -> Means:
    """Average figures over images, with intervals from resampled images.

    All figures see the same resamples. The percentiles are taken further out than the level says, by as much as
    Student's distribution has longer tails than the normal one and as the bootstrap's variance is too small; without
    it an interval of ten values covers some 90 % instead of 95.

    Args:
        values: (n, C), one row for each image; NaN where a figure is undefined, which its mean passes over.
        seed: of the resamples.
        resamples: how many.
        level: of the intervals.

    Source: Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789, section 4.4 (the expanded percentile
    interval).
    """
    known = np.isfinite(values)
    count = known.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(0) / count
    low, high = np.full((2, values.shape[1]), np.nan)
    columns = np.flatnonzero(count >= FEWEST)
    if len(columns):
        drawn = _resampled(values[:, columns], known[:, columns], seed, resamples)
        for place, column in enumerate(columns):
            size = int(count[column])
            share = float(norm.cdf(t.ppf((1 - level) / 2, size - 1) * np.sqrt(size / (size - 1))))
            found = drawn[:, place][np.isfinite(drawn[:, place])]
            low[column], high[column] = np.quantile(found, (share, 1 - share))
    ends = (np.round(end, 12) for end in (mean, low, high))  # the last digits depend on the number of threads
    return Means(count, (~known).sum(0), *ends)


def p_values(gaps: Values) -> Values:
    """Test for each column whether the mean of paired differences is 0, by Student's paired test.

    Args:
        gaps: (n, C), NaN where a pair is undefined.

    Returns:
        (C,), NaN for fewer than ``FEWEST`` pairs; 1 where all differences are 0.
    """
    found = np.full(gaps.shape[1], np.nan)
    for column, values in enumerate(gaps.T):
        known = values[np.isfinite(values)]
        if len(known) < FEWEST:
            continue
        spread = known.std()
        found[column] = float(ttest_1samp(known, 0.0).pvalue) if spread else float(known[0] == 0)
    return found


def holm(p: Values) -> Values:
    """Correct p values for their number, so that the chance of one false finding among all stays at the level.

    Args:
        p: NaN where there was no test; such entries count for nothing.

    Source: Holm 1979, https://www.jstor.org/stable/4615733.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def _resampled(values: Values, known: NDArray[np.bool_], seed: int, resamples: int) -> Values:
    """Means (resamples, C) of images drawn with replacement, in blocks."""
    images, columns = values.shape
    filled, ones = np.where(known, values, 0.0), known.astype(np.float64)
    draw, means = np.random.default_rng(seed), np.empty((resamples, columns))
    block = max(1, _CHUNK // images)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        picked = draw.integers(images, size=(size, images)) + images * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * images).reshape(size, images).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means[start : start + size] = (times @ filled) / (times @ ones)
    return means
