"""A line around a part of a picture."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

Pixels = NDArray[np.uint8]
Part = tuple[slice, slice]
_COLOR = (0, 160, 90)  # neither in the scale of one sign nor in that of two


def outlined(pixels: Pixels, mask: NDArray[np.bool_], part: Part | None = None) -> Pixels:
    """Draw a line along the inner edge of a mask.

    Args:
        pixels: uint8 (H, W, 3); not changed.
        mask: of any size (h, w), over ``part``; its pixels stay squares.
        part: rows and columns of the picture that the mask is about; by default all.

    Returns:
        A picture of the same size; the line is a 200th of its longer side wide.
    """
    drawn = pixels.copy()
    inside = drawn[part or (slice(None), slice(None))]
    height, width = inside.shape[:2]
    rows, columns = (
        np.arange(length) * side // length for length, side in zip((height, width), mask.shape, strict=True)
    )
    large = mask[rows][:, columns]
    thick = max(1, round(max(pixels.shape[:2]) / 200))
    inside[large & ~binary_erosion(large, iterations=thick, border_value=1)] = _COLOR
    return drawn
