"""How alike two pictures look: SSIM and PSNR.

Source: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861 (SSIM, uniform 7 x 7 windows as in scikit-image).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

WINDOW = 7  # pixels of a side of the window
_C1, _C2 = 0.01**2, 0.03**2  # for values in [0, 1]
_PLACES = WINDOW * WINDOW


def ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """Mean structural similarity of two pictures, over windows that lie inside them and over channels.

    The same figure as scikit-image's ``structural_similarity`` with its defaults, in one pass over all channels.

    Args:
        first: (C, H, W) in [0, 1].
        second: the other, of the same shape.

    Returns:
        At most 1, for equal pictures; none where a side is shorter than a window.
    """
    if min(first.shape[1:]) < WINDOW:
        return None
    if np.array_equal(first, second):
        return 1.0
    one, other = first.astype(np.float64), second.astype(np.float64)
    means = [_inner(values) for values in (one, other, one * one, other * other, one * other)]
    mean_one, mean_other, square_one, square_other, product = means
    unbiased = _PLACES / (_PLACES - 1)
    variances = unbiased * (square_one - mean_one**2 + square_other - mean_other**2)
    covariance = unbiased * (product - mean_one * mean_other)
    over = (2 * mean_one * mean_other + _C1) * (2 * covariance + _C2)
    under = (mean_one**2 + mean_other**2 + _C1) * (variances + _C2)
    return float((over / under).mean())


def psnr(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """Peak signal-to-noise ratio of two pictures in dB, for values in [0, 1]; none where they are equal.

    Args:
        first: (C, H, W).
        second: the other, of the same shape.
    """
    error = float(np.square(first.astype(np.float64) - second).mean())
    return 10 * math.log10(1 / error) if error else None


def _inner(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means (C, H - 6, W - 6) over the windows that lie inside."""
    edge = WINDOW // 2
    means: NDArray[np.float64] = uniform_filter(values, (0, WINDOW, WINDOW))
    return means[:, edge:-edge, edge:-edge]
