"""A perturbation made visible: grey where nothing changed, brighter or darker where something did."""

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
ZERO = 128  # grey of an unchanged value
_PEAK = 8  # times the root mean square, beyond which few values of an l2 perturbation lie
_SPARSE = {"l1": 64, "l0": 255}
_UNBOUNDED = 16  # levels; the smallest perturbations that mislead are a few levels


def difference(before: Pixels, after: Pixels, limit: int) -> tuple[Pixels, float]:
    """Show ``after - before`` on a signed scale, channel by channel.

    Args:
        before: pixels (H, W, 3).
        after: pixels of the same shape.
        limit: change, in levels of 255, that becomes black or white; larger ones are cut.

    Returns:
        Pixels (H, W, 3), ``ZERO`` where nothing changed, and the magnification: how many times a change was stretched.
    """
    change = after.astype(np.int16)
    change -= before
    magnification = 127 / limit
    levels = np.clip(np.arange(-255, 256) * magnification, -127, 127)
    table = (ZERO + np.rint(levels)).astype(np.uint8)
    change += 255
    return table.take(change), magnification


def scale_limit(norm: str | None, eps: float | None, values: int) -> int:
    """Give the one scale on which all perturbations of a case are shown, whatever they came to.

    Args:
        norm: in which eps is measured; none for methods without one.
        eps: radius of the ball in pixel units; none where the method looks for the smallest.
        values: of the picture, H * W * 3.

    Returns:
        The change that becomes black or white, in levels of 255. For linf eps itself. For l2 the power of two from
        ``_PEAK`` times the change that each value would have if all had the same. For l1 and l0, which change few
        values by much, ``_SPARSE``. Without eps ``_UNBOUNDED``.
    """
    if norm in _SPARSE:
        return _SPARSE[norm]
    if not eps or norm is None:
        return _UNBOUNDED
    if norm == "linf":
        return max(1, min(255, round(255 * eps)))
    alike = 255 * eps / math.sqrt(values)
    return min(256, 1 << math.ceil(math.log2(max(1.0, _PEAK * alike))))
