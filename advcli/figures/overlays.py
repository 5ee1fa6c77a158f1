"""A map over its photograph, at the photograph's own size, with the part drawn that the network saw."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advcli.figures.colors import limit_of, overlay, pale
from advcli.figures.outlines import outlined
from advcli.figures.sizing import enlarged, enlargement

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Box = tuple[float, float, float, float]
Whole = tuple[int, int, int, int]
_FRAME = (31, 35, 40)


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph and the part of it that the network saw.

    Args:
        pixels: uint8 (H, W, 3).
        box: (left, top, right, bottom) of that part, in pixels of the photograph.
        scale: how many times it is enlarged where something is drawn on it; none: see ``enlargement``.
    """

    pixels: Pixels
    box: Box
    scale: int | None = None

    @classmethod
    def whole(cls, pixels: Pixels) -> Self:
        """Take a picture of which the network saw all."""
        return cls(pixels, (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])))

    @classmethod
    def cropped(cls, pixels: Pixels, size: tuple[int, int], resize: int, scale: int | None = None) -> Self:
        """Take a photograph that was resized and cropped at the center, as ``images.reading.fit`` does.

        Args:
            pixels: uint8 (H, W, 3), as in the file.
            size: (height, width) of the network's input.
            resize: what the shorter side became before the crop.
            scale: see the class.
        """
        return cls(pixels, seen_box(pixels.shape[1], pixels.shape[0], size, resize), scale)

    def to_photo(self, box: Whole, shape: tuple[int, ...]) -> Whole:
        """Carry a box from a map (H, W) over to the photograph; see ``carried``."""
        height, width = self.pixels.shape[:2]
        return carried(box, shape, self.box, (width, height))


def carried(box: Whole, shape: tuple[int, ...], part: Box, photo: tuple[int, int]) -> Whole:
    """Carry a box from a map over to its photograph.

    Args:
        box: (left, top, right, bottom) in values of the map; right and bottom are the first beyond.
        shape: (H, W) of the map.
        part: (left, top, right, bottom) of the photograph that the map is about; see ``seen_box``.
        photo: (width, height) of the photograph.

    Returns:
        The smallest box of whole pixels of the photograph that holds it.
    """
    left, top, right, bottom = part
    across, down = (right - left) / shape[1], (bottom - top) / shape[0]
    near = (math.floor(left + box[0] * across + 1e-6), math.floor(top + box[1] * down + 1e-6))
    far = (math.ceil(left + box[2] * across - 1e-6), math.ceil(top + box[3] * down - 1e-6))
    return max(near[0], 0), max(near[1], 0), min(far[0], photo[0]), min(far[1], photo[1])


def seen_box(width: int, height: int, size: tuple[int, int], resize: int) -> Box:
    """Say which part of a photograph the network sees.

    Args:
        width: of the photograph, in pixels.
        height: of the photograph.
        size: (height, width) of the network's input.
        resize: what the shorter side becomes before the crop at the center.

    Returns:
        (left, top, right, bottom) in pixels of the photograph.
    """
    if (height, width) == tuple(size):
        return 0.0, 0.0, float(width), float(height)
    scale = min(width, height) / resize
    wide, tall = size[1] * scale, size[0] * scale
    # To the pixel of the resized picture, half ones to the even side: where the crop really was.
    left = round((round(width / scale) - size[1]) / 2) * scale
    top = round((round(height / scale) - size[0]) / 2) * scale
    return left, top, min(left + wide, width), min(top + tall, height)


def photo_overlay(
    photo: Photo, values: Map, limit: float | None = None, outline: NDArray[np.bool_] | None = None
) -> Pixels:
    """Lay a map over the photograph.

    Args:
        photo: and the part of it that the map is about.
        values: signed map (H, W), in any units.
        limit: magnitude at the ends of the scale; by default ``limit_of``.
        outline: part of the map (H, W) to draw a line around, or none.

    Returns:
        Pixels of the photograph's size, enlarged by a whole factor where it is small: in color where the network saw
        it, paler and framed where it did not look at the whole.
    """
    limit = limit_of(values) if limit is None else limit
    factor = photo.scale or enlargement(*photo.pixels.shape[:2])
    pixels = enlarged(photo.pixels, factor).astype(np.uint8, copy=False)
    left, top, right, bottom = (round(edge * factor) for edge in photo.box)
    inside = (slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1)))
    shown = overlay(pixels[inside], _stretched(values, *pixels[inside].shape[:2]), limit)
    if outline is not None:
        shown = outlined(shown, outline)
    if shown.shape == pixels.shape:
        return shown
    drawn = np.repeat(np.rint((pale(pixels) + 255) / 2), 3, axis=2).astype(np.uint8)
    width = max(1, round(max(pixels.shape[:2]) / 250))
    frame = (slice(max(0, top - width), bottom + width), slice(max(0, left - width), right + width))
    drawn[frame] = _FRAME
    drawn[inside] = shown
    return drawn


def _stretched(values: Map, height: int, width: int) -> Map:
    """Resize a map: whole factors keep its pixels square, others are interpolated."""
    if values.shape == (height, width):
        return values
    nearest = height % values.shape[0] == 0 and width % values.shape[1] == 0 and max(values.shape) < 112
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((width, height), how))
