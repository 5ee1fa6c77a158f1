"""Contact sheets of the pictures of noise that a network is surest of, each above its gradient."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advcli.core.choices import FigureFormat
from advcli.figures.chart_style import saved
from advcli.figures.formats import Chart
from advcli.figures.panels import Tile, panel
from advcli.images.writing import png_bytes, read_png

Pixels = NDArray[np.uint8]
ACROSS = 4  # pictures beside each other
MOST_SHEETS = 12  # of a run
TOP = 12  # pictures of a sheet over a whole case
MAP = ".gradient.png"  # ending of a picture's gradient, in the place of .png


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture of a sheet.

    Args:
        pixels: uint8 (H, W, 3).
        gradient: its gradient in color, uint8 (H, W, 3).
        prediction: class that the network says.
        probability: of it.
        title: above the picture.
        hit: the probability reaches the threshold.
    """

    pixels: Pixels
    gradient: Pixels
    prediction: str
    probability: float
    title: str
    hit: bool


@dataclass(frozen=True)
class Kept:
    """A saved picture of a case.

    Args:
        title: above the picture.
        prediction: class that the network says.
        probability: of it.
        hit: the probability reaches the threshold.
        file: relative to the run's folder.
    """

    title: str
    prediction: str
    probability: float
    hit: bool
    file: str


def sheet(shown: Sequence[Shown], title: str) -> Pixels:
    """Compose pictures, at least one, in rows of four, and below each row the gradients.

    Args:
        shown: in the order wanted.
        title: above all.

    Returns:
        Pixels (H, W, 3).
    """
    rows: list[list[Tile]] = []
    for start in range(0, len(shown), ACROSS):
        part = shown[start : start + ACROSS]
        rows.append([_picture(one) for one in part])
        rows.append([Tile(one.gradient, "gradient of its logit") for one in part])
    return panel(rows, title, "the pictures that the network is surest of; red: a brighter pixel makes it surer")


def confident_sheets(kept: Mapping[str, Sequence[Kept]], folder: Path) -> dict[str, bytes]:
    """Draw a sheet for each case from the pictures on disk.

    Args:
        kept: name of a sheet to its pictures, in the order wanted; the first ``TOP`` are shown.
        folder: of the run.

    Returns:
        Name to SVG, which holds the sheet as it is.
    """
    drawn: dict[str, bytes] = {}
    for name, pictures in list(kept.items())[:MOST_SHEETS]:
        shown = [_read(one, folder) for one in pictures[:TOP]]
        if shown:
            drawn[name] = embedded(sheet(shown, name))
    return drawn


def embedded(pixels: Pixels) -> Chart:
    """Put a picture (H, W, 3) into an SVG file, without loss; as a PNG it keeps its pixels, whatever the dpi."""
    height, width = pixels.shape[:2]
    data = base64.b64encode(png_bytes(pixels)).decode()
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/></svg>\n'
    )
    return Chart(text.encode(), partial(_sheet_as, pixels))


def _sheet_as(pixels: Pixels, file_format: FigureFormat, dpi: int) -> bytes:
    """Write a sheet as it is; PDF through a figure of its size, because Pillow's PDF is a JPEG."""
    if file_format == "png":
        return png_bytes(pixels)
    figure = Figure(figsize=(pixels.shape[1] / dpi, pixels.shape[0] / dpi), dpi=dpi)
    figure.figimage(pixels)
    return saved(figure, file_format, dpi)


def _picture(one: Shown) -> Tile:
    said = f"{one.prediction} {one.probability:.3f}"
    return Tile(one.pixels, one.title, (said,), "bad" if one.hit else "none")


def _read(one: Kept, folder: Path) -> Shown:
    path = folder / one.file
    gradient = read_png(path.with_name(path.name.removesuffix(".png") + MAP))
    return Shown(read_png(path), gradient, one.prediction, one.probability, one.title, one.hit)
