"""The pointing game: whether the most important pixel, and how much of the evidence, lies on the object.

Source: Zhang et al. 2016, https://arxiv.org/abs/1608.00507, section 4.2; without their tolerance of 15 pixels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


def box_mask(boxes: Sequence[Box], seen: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark the pixels of a map that lie inside boxes of the photograph.

    Args:
        boxes: (left, top, right, bottom) in pixels of the photograph.
        seen: the part of the photograph that the map is about, in the same form.
        shape: (H, W) of the map.

    Returns:
        (H, W), true where the center of a pixel is inside a box.
    """
    left, top, right, bottom = seen
    down = top + (np.arange(shape[0]) + 0.5) * (bottom - top) / shape[0]
    across = left + (np.arange(shape[1]) + 0.5) * (right - left) / shape[1]
    mask = np.zeros(shape, dtype=bool)
    for box in boxes:
        rows, columns = (down >= box[1]) & (down < box[3]), (across >= box[0]) & (across < box[2])
        mask |= rows[:, None] & columns
    return mask


def pointing(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> dict[str, float | None]:
    """Ask whether a map points at an object.

    Args:
        values: signed map (H, W); evidence is what is positive.
        mask: (H, W), the object.

    Returns:
        ``pointing``: 1 where the largest value, or one of several equal ones, is inside; ``mass_inside``: share of the
        evidence inside; ``area_inside``: share of the pixels inside, which is what chance would give both. None where
        the map holds no evidence, or where nothing of the object was seen.
    """
    evidence = np.maximum(values.astype(np.float64), 0)
    total = float(evidence.sum())
    if not mask.any() or not total:
        return {"pointing": None, "mass_inside": None, "area_inside": None}
    return {
        "pointing": float((mask & (evidence == evidence.max())).any()),
        "mass_inside": float(evidence[mask].sum()) / total,
        "area_inside": float(mask.mean()),
    }
