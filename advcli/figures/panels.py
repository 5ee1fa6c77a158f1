"""Panels: rows of captioned tiles, one picture per image, made in milliseconds.

Composed by hand, for matplotlib takes a tenth of a second for a figure, and a folder has thousands of images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advcli.figures.colors import NEUTRAL
from advcli.figures.lettering import lettering, line_height

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]

SMALLEST, LARGEST = 224, 360  # longer side of a tile's picture, in pixels
NARROWEST = 180  # of a column, in pixels: room for its text beside a slim picture
MARGIN, GAP = 16, 18
AIR = 5  # between a picture and its text; holds the frame
FRAME = 2
TITLE_SIZE, LINE_SIZE = 14, 13
INK: Color = (31, 35, 40)
QUIET: Color = (89, 96, 105)
EMPHASIS: dict[str, Color] = {"good": (26, 127, 55), "bad": (196, 62, 28)}


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a panel.

    Args:
        pixels: uint8 (H, W, 3).
        title: written above.
        lines: written below, one under the other, such as "cat 0.98".
        emphasis: ``good`` and ``bad`` frame the picture and color the first line below it.
    """

    pixels: Pixels
    title: str
    lines: tuple[str, ...] = ()
    emphasis: Literal["none", "good", "bad"] = "none"


def panel(rows: Sequence[Sequence[Tile]]) -> Pixels:
    """Compose tiles into one picture on white, in columns as wide as their widest picture.

    Args:
        rows: tiles, row by row; rows may differ in length. At least one tile.

    Returns:
        Pixels (H, W, 3). Small pictures are enlarged by a whole factor, so that each pixel stays a square; large ones
        are reduced to 360 pixels.
    """
    pictures = [[_sized(tile.pixels) for tile in row] for row in rows]
    widths = [max(NARROWEST, *(picture.shape[1] for picture in column)) for column in _columns(pictures)]
    heights = [_row_height(row, shown) for row, shown in zip(rows, pictures, strict=True)]
    shape = (2 * MARGIN + sum(heights) + GAP * (len(rows) - 1), 2 * MARGIN + sum(widths) + GAP * (len(widths) - 1), 3)
    canvas = np.full(shape, 255, dtype=np.uint8)
    top = MARGIN
    for row, shown, height in zip(rows, pictures, heights, strict=True):
        left = MARGIN
        for tile, picture, width in zip(row, shown, widths, strict=False):
            _paste(canvas, tile, picture, top, left, width)
            left += width + GAP
        top += height + GAP
    return canvas


def difference(before: Pixels, after: Pixels) -> tuple[Pixels, float]:
    """Make a perturbation visible: its smallest value black, its largest white, over all pixels and channels.

    Args:
        before: pixels (H, W, 3).
        after: pixels of the same shape.

    Returns:
        Pixels (H, W, 3), and the magnification: how many times ``after - before`` was stretched. Where nothing was
        changed there is plain neutral, and a magnification of 0.
    """
    change = after.astype(np.int16) - before
    # Zero belongs to the range, so that a picture that is lighter all over does not pass for an unchanged one.
    low, high = min(0, int(change.min())), max(0, int(change.max()))
    if low == high:
        return np.full(change.shape, NEUTRAL, dtype=np.uint8), 0.0
    magnification = 255 / (high - low)
    return np.rint((change - low) * magnification).astype(np.uint8), magnification


def _columns(pictures: Sequence[Sequence[Pixels]]) -> list[list[Pixels]]:
    return [[row[place] for row in pictures if place < len(row)] for place in range(max(map(len, pictures)))]


def _row_height(row: Sequence[Tile], pictures: Sequence[Pixels]) -> int:
    below = max(len(tile.lines) for tile in row)
    text = line_height(TITLE_SIZE) + below * line_height(LINE_SIZE)
    tallest: int = max(picture.shape[0] for picture in pictures)
    return text + 2 * AIR + tallest


def _sized(pixels: Pixels) -> Pixels:
    """Bring the longer side into a range that the eye reads: whole factors upwards, any factor downwards."""
    longer = max(pixels.shape[:2])
    if longer > LARGEST:
        size = [max(1, round(side * LARGEST / longer)) for side in pixels.shape[1::-1]]
        return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.LANCZOS))
    factor = -(-SMALLEST // longer)
    while factor > 1 and factor * longer > LARGEST:
        factor -= 1
    return pixels.repeat(factor, axis=1).repeat(factor, axis=0)  # last whole rows, which copy fastest


def _paste(canvas: Pixels, tile: Tile, picture: Pixels, top: int, left: int, width: int) -> None:
    _write(canvas, tile.title, TITLE_SIZE, INK, top, left, width)
    top += line_height(TITLE_SIZE) + AIR
    bottom, right = top + picture.shape[0], left + picture.shape[1]
    color = EMPHASIS.get(tile.emphasis)
    if color:
        canvas[top - FRAME : bottom + FRAME, left - FRAME : right + FRAME] = color
    canvas[top:bottom, left:right] = picture
    for number, line in enumerate(tile.lines):
        ink = color if color and number == 0 else QUIET
        _write(canvas, line, LINE_SIZE, ink, bottom + AIR + number * line_height(LINE_SIZE), left, width)


def _write(canvas: Pixels, text: str, size: int, color: Color, top: int, left: int, width: int) -> None:
    coverage = lettering(text, size, width)[..., None]
    ink = 255 + coverage * (np.array(color, dtype=np.float32) - 255)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink).astype(np.uint8)
