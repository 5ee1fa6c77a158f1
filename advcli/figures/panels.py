"""Panels: a title and rows of captioned tiles, one picture per result, made in milliseconds.

Composed by hand, for matplotlib takes a tenth of a second for a figure, and a folder has thousands of images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from advcli.figures.lettering import Color, lettering, line_height, text_width
from advcli.figures.sizing import sized

Pixels = NDArray[np.uint8]

NARROWEST = 190  # of a column, in pixels: room for its text beside a slim picture
MARGIN, GAP = 16, 20
AIR = 5  # between a picture and its text; holds the frame
FRAME = 2
BAR_WIDTH, BAR_GAP = 10, 8
HEAD_SIZE, TITLE_SIZE, LINE_SIZE = 15, 13, 12
INK: Color = (31, 35, 40)
QUIET: Color = (89, 96, 105)
EMPHASIS: dict[str, Color] = {"good": (26, 127, 55), "bad": (196, 62, 28)}


@dataclass(frozen=True, eq=False)
class Bar:
    """A color bar at the right of a picture.

    Args:
        colors: (K, 3), the largest value first.
        high: number at the upper end.
        middle: number at the middle; empty for none.
        low: number at the lower end.
    """

    colors: Pixels
    high: str
    middle: str
    low: str

    @property
    def width(self) -> int:
        """Pixels that the bar takes beside the picture, its numbers included."""
        return 2 * BAR_GAP + BAR_WIDTH + max(text_width(text, LINE_SIZE) for text in (self.high, self.middle, self.low))


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a panel.

    Args:
        pixels: uint8 (H, W, 3).
        title: written above.
        lines: written below, one under the other, such as "cat 0.98".
        emphasis: ``good`` and ``bad`` frame the picture and color the first line below it.
        bar: color bar at the right.
    """

    pixels: Pixels
    title: str
    lines: tuple[str, ...] = ()
    emphasis: Literal["none", "good", "bad"] = "none"
    bar: Bar | None = None


def panel(rows: Sequence[Sequence[Tile]], title: str = "", subtitle: str = "") -> Pixels:
    """Compose tiles into one picture on white, in columns as wide as their widest tile.

    Args:
        rows: tiles, row by row; rows may differ in length. At least one tile.
        title: above all, in bold; empty for none.
        subtitle: below the title.

    Returns:
        Pixels (H, W, 3). Small pictures are enlarged by a whole factor, so that each pixel stays a square; large ones
        are reduced to 360 pixels.
    """
    pictures = [[sized(tile.pixels) for tile in row] for row in rows]
    widths = _widths(rows, pictures)
    heights = [_row_height(row, shown) for row, shown in zip(rows, pictures, strict=True)]
    head = sum(line_height(size) for text, size in ((title, HEAD_SIZE), (subtitle, LINE_SIZE)) if text)
    top = MARGIN + head + (AIR if head else 0)
    width = 2 * MARGIN + sum(widths) + GAP * (len(widths) - 1)
    canvas = np.full((top + MARGIN + sum(heights) + GAP * (len(rows) - 1), width, 3), 255, dtype=np.uint8)
    _write_head(canvas, title, subtitle, width - 2 * MARGIN)
    for row, shown, height in zip(rows, pictures, heights, strict=True):
        left = MARGIN
        for tile, picture, column in zip(row, shown, widths, strict=False):
            _paste(canvas, tile, picture, top, left, column)
            left += column + GAP
        top += height + GAP
    return canvas


def _widths(rows: Sequence[Sequence[Tile]], pictures: Sequence[Sequence[Pixels]]) -> list[int]:
    """Give each column the room of its widest picture with its color bar."""
    widths = [NARROWEST] * max(map(len, rows))
    for row, shown in zip(rows, pictures, strict=True):
        for place, (tile, picture) in enumerate(zip(row, shown, strict=True)):
            beside = 0 if tile.bar is None else tile.bar.width
            widths[place] = max(widths[place], picture.shape[1] + beside)
    return widths


def _row_height(row: Sequence[Tile], pictures: Sequence[Pixels]) -> int:
    below = max(len(tile.lines) for tile in row)
    text = line_height(TITLE_SIZE) + below * line_height(LINE_SIZE)
    tallest: int = max(picture.shape[0] for picture in pictures)
    return text + 2 * AIR + tallest


def _write_head(canvas: Pixels, title: str, subtitle: str, width: int) -> None:
    top = MARGIN
    if title:
        _put(canvas, lettering(title, HEAD_SIZE, width, INK, bold=True), top, MARGIN)
        top += line_height(HEAD_SIZE)
    if subtitle:
        _put(canvas, lettering(subtitle, LINE_SIZE, width, QUIET), top, MARGIN)


def _paste(canvas: Pixels, tile: Tile, picture: Pixels, top: int, left: int, width: int) -> None:
    _put(canvas, lettering(tile.title, TITLE_SIZE, width, INK), top, left)
    top += line_height(TITLE_SIZE) + AIR
    bottom, right = top + picture.shape[0], left + picture.shape[1]
    color = EMPHASIS.get(tile.emphasis)
    if color:
        canvas[top - FRAME : bottom + FRAME, left - FRAME : right + FRAME] = color
    canvas[top:bottom, left:right] = picture
    if tile.bar is not None:
        _paste_bar(canvas, tile.bar, top, bottom, right + BAR_GAP)
    for number, line in enumerate(tile.lines):
        ink = color if color and number == 0 else QUIET
        _put(canvas, lettering(line, LINE_SIZE, width, ink), bottom + AIR + number * line_height(LINE_SIZE), left)


def _paste_bar(canvas: Pixels, bar: Bar, top: int, bottom: int, left: int) -> None:
    places = np.rint(np.linspace(0, len(bar.colors) - 1, bottom - top)).astype(np.intp)
    canvas[top:bottom, left : left + BAR_WIDTH] = bar.colors[places][:, None]
    left += BAR_WIDTH + BAR_GAP
    height = line_height(LINE_SIZE)
    for text, place in ((bar.high, top), (bar.middle, (top + bottom - height) // 2), (bar.low, bottom - height)):
        if text:
            _put(canvas, lettering(text, LINE_SIZE, text_width(text, LINE_SIZE), QUIET), place, left)


def _put(canvas: Pixels, text: Pixels, top: int, left: int) -> None:
    room = canvas[top : top + text.shape[0], left : left + text.shape[1]]
    room[...] = text[: room.shape[0], : room.shape[1]]
