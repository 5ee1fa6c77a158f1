"""Pictures at a size that the eye reads: whole factors upwards, any factor downwards."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
SMALLEST, LARGEST = 224, 360  # longer side of a picture in a panel, in pixels


def enlargement(height: int, width: int) -> int:
    """Give the whole factor that brings a small picture near 224 pixels, and never over 360."""
    longer = max(height, width)
    factor = -(-SMALLEST // longer)
    while factor > 1 and factor * longer > LARGEST:
        factor -= 1
    return factor


def enlarged(values: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """Repeat every pixel of (H, W) or (H, W, 3) so that it stays a square."""
    if factor == 1:
        return values
    return values.repeat(factor, axis=1).repeat(factor, axis=0)  # last whole rows, which copy fastest


def sized(pixels: Pixels) -> Pixels:
    """Bring the longer side of a picture (H, W, 3) into the range of a panel."""
    longer = max(pixels.shape[:2])
    if longer > LARGEST:
        size = [max(1, round(side * LARGEST / longer)) for side in pixels.shape[1::-1]]
        return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.LANCZOS))
    larger: Pixels = enlarged(pixels, enlargement(*pixels.shape[:2])).astype(np.uint8, copy=False)
    return larger
