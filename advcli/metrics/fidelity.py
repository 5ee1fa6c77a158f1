"""How alike two pictures look: SSIM and PSNR.

Source: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861 (SSIM, uniform 7 x 7 windows as in scikit-image).
"""

import math

import numpy as np
from numpy.typing import NDArray

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
    maps = np.empty((4, *first.shape))
    one, other, product, squares = maps
    one[...], other[...] = first, second
    np.multiply(one, other, out=product)
    np.multiply(one, one, out=squares)
    squares += other * other
    mean_one, mean_other, product, squares = _window_means(maps)
    between = mean_one * mean_other
    alone = mean_one * mean_one + mean_other * mean_other
    unbiased = _PLACES / (_PLACES - 1)
    over = (2 * between + _C1) * (2 * unbiased * (product - between) + _C2)
    under = (alone + _C1) * (unbiased * (squares - alone) + _C2)
    return float((over / under).mean())


def psnr(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """Peak signal-to-noise ratio of two pictures in dB, for values in [0, 1]; none where they are equal.

    Args:
        first: (C, H, W).
        second: the other, of the same shape.
    """
    error = float(np.square(first.astype(np.float64) - second).mean())
    return 10 * math.log10(1 / error) if error else None


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means (..., H - 6, W - 6) over the windows that lie inside: seven values are three pairs and one."""
    pairs = values[..., :-1, :] + values[..., 1:, :]
    rows = pairs[..., :-5, :] + pairs[..., 2:-3, :] + pairs[..., 4:-1, :] + values[..., 6:, :]
    pairs = rows[..., :-1] + rows[..., 1:]
    both: NDArray[np.float64] = pairs[..., :-5] + pairs[..., 2:-3] + pairs[..., 4:-1] + rows[..., 6:]
    return both / _PLACES
