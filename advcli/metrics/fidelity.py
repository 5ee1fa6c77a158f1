"""How alike two pictures look: SSIM and PSNR.

Source: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861 (SSIM, uniform 7 x 7 windows as in scikit-image).
"""

import math

import numpy as np
from numpy.typing import NDArray

WINDOW = 7  # pixels of a side of the window
_C1, _C2 = 0.01**2, 0.03**2  # for values in [0, 1]
_PLACES = WINDOW * WINDOW


def ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> list[float | None]:
    """Mean structural similarity of pairs of pictures, over windows that lie inside them and over channels.

    The same figures as scikit-image's ``structural_similarity`` with its defaults, for all pairs at once.

    Args:
        first: (N, C, H, W) in [0, 1].
        second: the others, of the same shape.

    Returns:
        For each pair at most 1, for equal pictures; none where a side is shorter than a window.
    """
    if min(first.shape[2:]) < WINDOW:
        return [None] * len(first)
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
    found = (over / under).reshape(len(first), -1).mean(1)
    found[(first == second).all((1, 2, 3))] = 1.0  # without rounding errors
    return [float(one) for one in found]


def psnr(first: NDArray[np.float32], second: NDArray[np.float32]) -> list[float | None]:
    """Peak signal-to-noise ratio of pairs of pictures in dB, for values in [0, 1]; none where they are equal.

    Args:
        first: (N, C, H, W).
        second: the others, of the same shape.
    """
    errors = np.square(first.astype(np.float64) - second).reshape(len(first), -1).mean(1)
    return [10 * math.log10(1 / error) if error else None for error in errors.tolist()]


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means (..., H - 6, W - 6) over the windows that lie inside: seven values are three pairs and one."""
    pairs = values[..., :-1, :] + values[..., 1:, :]
    rows = pairs[..., :-5, :] + pairs[..., 2:-3, :] + pairs[..., 4:-1, :] + values[..., 6:, :]
    pairs = rows[..., :-1] + rows[..., 1:]
    both: NDArray[np.float64] = pairs[..., :-5] + pairs[..., 2:-3] + pairs[..., 4:-1] + rows[..., 6:]
    return both / _PLACES
