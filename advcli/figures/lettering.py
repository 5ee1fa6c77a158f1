"""Text as pixels, for panels: shortened to fit, drawn once, kept."""

from functools import cache, lru_cache
from pathlib import Path
from typing import cast

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont
TAIL = 8  # letters that a last word may have to be kept when a text is shortened


@lru_cache(maxsize=4096)  # titles repeat on every panel, captions of a class and its two digits nearly so
def lettering(text: str, size: int, width: int) -> NDArray[np.float32]:
    """Draw one line of text, shortened with an ellipsis where it would not fit.

    A short last word survives the shortening, for it is the number after a class: "Staffordshire bull… 0.98".

    Args:
        text: what to write; what has no shape, such as a line break, becomes a space.
        size: of the font, in pixels.
        width: what there is room for, in pixels.

    Returns:
        Coverage (H, W) in [0, 1], W at most ``width``; H is ``line_height(size)``. Shared: not to be written to.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    font = _font(size, plain=text.isascii())
    text = _fitted(text, font, width)
    canvas = Image.new("L", (min(width, int(font.getlength(text)) + 2), line_height(size)))
    # Anchored at the baseline, a third of the size above the bottom: both fonts then stand on one line.
    ImageDraw.Draw(canvas).text((0, line_height(size) - size // 3), text, fill=255, font=font, anchor="ls")
    return np.asarray(canvas, dtype=np.float32) / np.float32(255)


def line_height(size: int) -> int:
    """Say how many pixels a line of text takes.

    Args:
        size: of the font, in pixels.

    Returns:
        Room for the tallest letter, the deepest and a little air.
    """
    return size + size // 2


def _fitted(text: str, font: Font, width: int) -> str:
    """Take letters from before the last word, or from the end, until the text is no wider than ``width``."""
    if font.getlength(text) <= width:
        return text
    head, space, tail = text.rpartition(" ")
    kept = space + tail if head and len(tail) <= TAIL else ""
    head = head if kept else text
    while head and font.getlength(f"{head}…{kept}") > width:
        head = head[:-1]
    return f"{head.rstrip()}…{kept}"


@cache
def _font(size: int, *, plain: bool) -> Font:
    """Load Pillow's own font, which knows little but ASCII, or that of matplotlib, which knows alphabets."""
    if plain:
        return cast("Font", ImageFont.load_default(size))
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
