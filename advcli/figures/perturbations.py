"""A perturbation made visible: grey where nothing changed, brighter or darker where something did."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
ZERO = 128  # grey of an unchanged value


def difference(before: Pixels, after: Pixels, limit: int | None = None) -> tuple[Pixels, float]:
    """Show ``after - before`` on a signed scale, channel by channel.

    Args:
        before: pixels (H, W, 3).
        after: pixels of the same shape.
        limit: change, in levels of 255, that becomes black or white; larger ones are cut. By default the smallest power
            of two that no change exceeds.

    Returns:
        Pixels (H, W, 3), ``ZERO`` where nothing changed, and the magnification: how many times a change was stretched.
    """
    change = after.astype(np.int16)
    change -= before
    if limit is None:
        largest = max(int(change.max(initial=0)), -int(change.min(initial=0)))
        limit = 1 << max(0, largest - 1).bit_length()
    magnification = 127 / limit
    levels = np.clip(np.arange(-255, 256) * magnification, -127, 127)
    table = (ZERO + np.rint(levels)).astype(np.uint8)
    change += 255
    return table.take(change), magnification


def scale_limit(norm: str | None, eps: float | None) -> int | None:
    """Give the one scale on which all perturbations of a case are shown.

    Args:
        norm: in which eps is measured.
        eps: radius of the ball in pixel units.

    Returns:
        eps in levels of 255 for linf. None for other norms, which do not bound a single value: there the scale is the
        picture's own, a power of two.
    """
    return max(1, min(255, round(255 * eps))) if norm == "linf" and eps else None
