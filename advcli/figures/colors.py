"""Maps in color: dark to bright where evidence has one sign, blue through white to red where it has two."""

from functools import cache

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

NEUTRAL = 247  # of a map without evidence, and of zero in a signed one: a white that can be told from the page's
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def heat(values: Map) -> Pixels:
    """Color a map of one sign with inferno, whose steps look equally large everywhere and print well in grey.

    Args:
        values: (H, W) in [0, 1].

    Returns:
        Pixels (H, W, 3): 0 is black, 1 is pale yellow.
    """
    return _table("inferno", 256).take(_steps(values, 255), axis=0)


def signed(values: Map) -> Pixels:
    """Color a map of two signs: blue speaks against, red for, white says nothing.

    Args:
        values: (H, W) in [-1, 1].

    Returns:
        Pixels (H, W, 3); 0 is exactly neutral.
    """
    # An odd number of colors, so that zero has one of its own.
    return _table("RdBu_r", 255).take(_steps((values + 1) / 2, 254), axis=0)


def display(values: Map) -> Pixels:
    """Color a map as it is, each on its own scale.

    Args:
        values: signed map (H, W), in any units.

    Returns:
        Pixels (H, W, 3): ``heat`` of v / max(v) where nothing is negative, ``signed`` of v / max|v| elsewhere, and
        plain neutral where the map is 0 throughout.
    """
    scaled = _scaled(values)
    if scaled is None:
        return np.full((*values.shape, 3), NEUTRAL, dtype=np.uint8)
    return signed(scaled) if scaled.min() < 0 else heat(scaled)


def overlay(image: Pixels, values: Map) -> Pixels:
    """Lay a map over its photograph: the stronger the evidence, the more of the color and the less of the photo.

    Args:
        image: pixels (H, W, 3).
        values: signed map (H, W) of the same size, in any units; shown by magnitude.

    Returns:
        Pixels (H, W, 3): the photograph in pale grey where the map is 0, ``heat`` of |v| / max|v| where it is large.
    """
    grey = (image @ _LUMINANCE)[..., None] * 0.6 + 0.4 * 255  # pale, so that black heat does not pass for a shadow
    scaled = _scaled(values)
    if scaled is None:
        return np.repeat(np.rint(grey), 3, axis=2).astype(np.uint8)
    strength = np.abs(scaled)
    opacity = strength[..., None] ** 0.5  # linear opacity would hide all but the peaks
    return np.rint(grey + opacity * (heat(strength) - grey)).astype(np.uint8)


def _scaled(values: Map) -> Map | None:
    """Scale a map to [-1, 1] by its largest magnitude; none where that is 0."""
    largest = float(np.abs(values).max(initial=0))
    # In float64: a float32 map of denormal numbers would overflow.
    return (values.astype(np.float64) / largest).astype(np.float32) if largest > 0 else None


def _steps(values: NDArray[np.floating], last: int) -> NDArray[np.uint8]:
    steps: NDArray[np.uint8] = (np.clip(values, 0, 1) * last + 0.5).astype(np.uint8)
    return steps


@cache
def _table(name: str, count: int) -> Pixels:
    """Bake a colormap of matplotlib into (count, 3) bytes: calling it costs ten times the lookup."""
    colors = mpl.colormaps[name].resampled(count)(np.arange(count))[:, :3]
    table: Pixels = np.rint(colors * 255).astype(np.uint8)
    if count % 2:
        table[count // 2] = NEUTRAL
    return table
