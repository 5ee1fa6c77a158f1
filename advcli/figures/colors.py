"""Maps in color: dark to bright where evidence has one sign, blue through white to red where it has two."""

from functools import cache

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

NEUTRAL = 247  # of a map without evidence, and of zero in a signed one: a white that can be told from the page's
PERCENTILE = 99
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def is_signed(values: Map) -> bool:
    """Say whether a map holds evidence against, too."""
    return bool(values.min(initial=0) < 0)


def limit_of(values: Map) -> float:
    """Choose the magnitude at which the scale of a map ends, for display only.

    Args:
        values: signed map (H, W), in any units.

    Returns:
        The largest magnitude, or the 99th percentile of the magnitudes where that is less than half of it: a few
        pixels of a gradient would otherwise leave all others white. 0 where the map is 0 throughout.
    """
    magnitudes = np.abs(values).ravel()
    largest = float(magnitudes.max(initial=0))
    if not largest:
        return 0.0
    place = (magnitudes.size - 1) * PERCENTILE // 100
    usual = float(np.partition(magnitudes, place)[place])
    return usual if 0 < usual < largest / 2 else largest


def color(values: Map, limit: float, *, signed: bool | None = None) -> Pixels:
    """Color a map.

    Args:
        values: signed map (H, W), in any units.
        limit: magnitude at the ends of the scale, in the same units; larger values get the color of the end.
        signed: use the scale of two signs; by default where a value is negative.

    Returns:
        Pixels (H, W, 3): inferno from 0 to ``limit``, or blue (against) through white to red (for); plain neutral
        where ``limit`` is 0.
    """
    if limit <= 0:
        return np.full((*values.shape, 3), NEUTRAL, dtype=np.uint8)
    scaled = _scaled(values, limit)
    return _signed(scaled) if (is_signed(values) if signed is None else signed) else _heat(scaled)


def legend(*, signed: bool) -> Pixels:
    """Give the colors of a scale as (K, 3), the largest value first."""
    table = _table("RdBu_r", 255) if signed else _table("inferno", 256)
    return table[::-1]


def overlay(image: Pixels, values: Map, limit: float) -> Pixels:
    """Lay a map over its photograph: the stronger the evidence, the more of the color and the less of the photo.

    Args:
        image: pixels (H, W, 3).
        values: signed map (H, W) of the same size, in any units.
        limit: magnitude at the ends of the scale.

    Returns:
        Pixels (H, W, 3): the photograph in pale grey where the map is 0, the colors of ``color`` where it is large.
    """
    grey = pale(image)
    if limit <= 0:
        return np.repeat(np.rint(grey), 3, axis=2).astype(np.uint8)
    scaled = _scaled(values, limit)
    opacity = np.sqrt(np.abs(scaled))[..., None]  # linear opacity would hide all but the peaks
    colors = _signed(scaled) if is_signed(values) else _heat(scaled)
    laid: Pixels = np.rint(grey + opacity * (colors - grey)).astype(np.uint8)
    return laid


def pale(image: Pixels) -> NDArray[np.float32]:
    """Turn a photograph into pale grey (H, W, 1), so that black heat does not pass for a shadow."""
    grey: NDArray[np.float32] = (image @ _LUMINANCE)[..., None] * np.float32(0.6) + np.float32(0.4 * 255)
    return grey


def _scaled(values: Map, limit: float) -> Map:
    # In float64: a float32 map of denormal numbers would overflow.
    return np.clip(values.astype(np.float64) / limit, -1, 1).astype(np.float32)


def _heat(values: Map) -> Pixels:
    """Color values in [0, 1] with inferno, whose steps look equally large everywhere and print well in grey."""
    return _table("inferno", 256).take(_steps(values, 255), axis=0)


def _signed(values: Map) -> Pixels:
    """Color values in [-1, 1]; an odd number of colors, so that zero has one of its own."""
    return _table("RdBu_r", 255).take(_steps((values + 1) / 2, 254), axis=0)


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
