"""How alike two maps of one image are: by rank, by structure and by edges.

The three metrics are those of Adebayo et al. 2018, whose paper, notebooks and answers to readers disagree about the
preparation of the maps. Ours is fixed here and follows two rules: no percentile is clipped, for that makes ties, and
every metric sees maps that fill the range which it assumes. SSIM with ``data_range=2`` on raw gradients of 1e-5 calls
any two maps identical.

Source: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292, section 4.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from advcli.metrics.hog import cell_size, hog

SSIM_WINDOW = 7


def similarity(before: NDArray[np.float32], after: NDArray[np.float32]) -> dict[str, float | None]:
    """Compare two maps of one image.

    Rank correlation uses average ranks for ties. SSIM has a uniform 7 x 7 window and ``data_range=1``, on signed maps
    as (v / max|v| + 1) / 2 and on absolute ones as |v| / max|v|. HOG descriptors have 9 orientations, 3 x 3 cells in
    a block, L2-Hys and cells that grow with the map; they are compared by Pearson's correlation.

    Args:
        before: signed map (H, W); finite, in any units: every metric is blind to a positive factor.
        after: the other map, of the same shape.

    Returns:
        The five figures by name (``spearman``, ``spearman_abs``, ``ssim``, ``ssim_abs``, ``hog``), each in [-1, 1]. A
        metric is none where it is undefined: one of the maps, signed or absolute as the metric sees it, is constant,
        or the maps are too small for a window or a block.
    """
    first, second = before.astype(np.float64), after.astype(np.float64)
    first_abs, second_abs = np.abs(first), np.abs(second)
    signed = _varies(first) and _varies(second)
    absolute = _varies(first_abs) and _varies(second_abs)
    if absolute:
        # Only a scaling: ranks do not see it, SSIM and HOG need it.
        first_abs, second_abs = first_abs / first_abs.max(), second_abs / second_abs.max()
    return {
        "spearman": _pearson(_ranks(first), _ranks(second)) if signed else None,
        "spearman_abs": _pearson(_ranks(first_abs), _ranks(second_abs)) if absolute else None,
        "ssim": _ssim(_centered(first), _centered(second)) if signed else None,
        "ssim_abs": _ssim(first_abs, second_abs) if absolute else None,
        "hog": _hog_correlation(first_abs, second_abs) if absolute else None,
    }


def _varies(values: NDArray[np.float64]) -> bool:
    return bool(values.size) and bool(values.min() < values.max())


def _centered(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale a signed map to [0, 1] with 0 at 1/2: on [-1, 1] SSIM would call a map and its negative alike."""
    return (values / float(np.abs(values).max()) + 1) / 2


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average ranks from 1, as ``scipy.stats.rankdata``, whose stable sort takes two to three times as long."""
    flat = values.ravel()
    order = np.argsort(flat)
    ordered = flat[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))  # where each run of ties begins
    length = np.diff(first, append=flat.size)
    ranks = np.empty(flat.size)
    ranks[order] = np.repeat(first + (length + 1) / 2, length)
    return ranks


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Correlate two vectors; none where one of them is constant up to rounding."""
    first, second = _deviation(first), _deviation(second)
    lengths = _length(first) * _length(second)
    if lengths == 0:
        return None
    return float(np.clip((first * second).sum() / lengths, -1, 1))


def _deviation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = values - values.mean()
    return deviation if _length(deviation) > 1e-12 * _length(values) else np.zeros_like(values)


def _length(values: NDArray[np.float64]) -> float:
    # Not values @ values: BLAS would split it over threads, which rounds as their number has it, and wait for them.
    return float(np.sqrt((values * values).sum()))


def _ssim(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if min(first.shape) < SSIM_WINDOW:
        return None
    alike = structural_similarity(first, second, win_size=SSIM_WINDOW, data_range=1)  # type: ignore[no-untyped-call]
    return float(alike)


def _hog_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    cell = cell_size(first.shape[0])
    one, other = hog(first, cell), hog(second, cell)
    return None if one is None or other is None else _pearson(one, other)
