"""Text as pixels, for panels: shortened to fit, drawn once, kept."""

from functools import cache, lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
TAIL = 8  # letters that a last word may have to be kept when a text is shortened


@lru_cache(maxsize=4096)  # titles repeat on every panel, captions of a class and its two digits nearly so
def lettering(text: str, size: int, width: int, color: Color = (0, 0, 0), *, bold: bool = False) -> NDArray[np.uint8]:
    """Draw one line of text on white, shortened with an ellipsis where it would not fit.

    A short last word survives the shortening, for it is the number after a class: "Staffordshire bull… 0.98".

    Args:
        text: what to write; what has no shape, such as a line break, becomes a space.
        size: of the font, in pixels.
        width: what there is room for, in pixels.
        color: of the letters.
        bold: in bold face.

    Returns:
        Pixels (H, W, 3), W at most ``width``; H is ``line_height(size)``. Shared: not to be written to.
    """
    font = _font(size, bold=bold)
    text = _fitted("".join(letter if letter.isprintable() else " " for letter in text), font, width)
    shape = (max(1, min(width, int(font.getlength(text)) + 2)), line_height(size))
    canvas = Image.new("RGB", shape, (255, 255, 255))
    # Anchored at the baseline, a third of the size above the bottom.
    ImageDraw.Draw(canvas).text((0, line_height(size) - size // 3), text, fill=color, font=font, anchor="ls")
    return np.asarray(canvas)


def text_width(text: str, size: int) -> int:
    """Say how many pixels a text takes that is not shortened."""
    return int(_font(size, bold=False).getlength(text)) + 2


def line_height(size: int) -> int:
    """Say how many pixels a line of text takes: room for the tallest letter, the deepest and a little air.

    Args:
        size: of the font, in pixels.
    """
    return size + size // 2


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Take letters from before the last word, or from the end, until the text is no wider than ``width``."""
    if font.getlength(text) <= width:
        return text
    head, space, tail = text.rpartition(" ")
    kept = space + tail if head and len(tail) <= TAIL else ""
    head = head if kept else text
    low, high = 0, len(head)  # letters that fit; found by halves, for each look costs as much as drawing
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(f"{head[:middle].rstrip()}…{kept}") <= width:
            low = middle
        else:
            high = middle - 1
    return f"{head[:low].rstrip()}…{kept}"


@cache
def _font(size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    """Load the font that comes with matplotlib: it knows alphabets, and its words stand apart at every size."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
