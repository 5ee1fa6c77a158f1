"""A contact sheet of explanations: a row for each picture, a column for each way to explain it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advcli.figures.noise_sheets import embedded
from advcli.figures.panels import Tile, panel

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Overlay:
    """One explanation on its picture.

    Args:
        pixels: uint8 (H, W, 3).
        case: the way it was made, written above.
        explained: class that it is for.
    """

    pixels: Pixels
    case: str
    explained: str


@dataclass(frozen=True, eq=False)
class Row:
    """One picture and its explanations.

    Args:
        pixels: the picture as the model sees it, uint8 (H, W, 3).
        name: of the picture.
        prediction: class that the model says.
        overlays: in the order of the columns.
    """

    pixels: Pixels
    name: str
    prediction: str
    overlays: Sequence[Overlay]


def method_sheet(rows: Sequence[Row]) -> bytes:
    """Compose pictures, at least one, with their explanations.

    Args:
        rows: in the order wanted, each with the same columns.

    Returns:
        An SVG file, which holds the sheet as it is.
    """
    tiles = [
        [
            Tile(row.pixels, row.name, (row.prediction,)),
            *(Tile(one.pixels, one.case, (f"for {one.explained}",)) for one in row.overlays),
        ]
        for row in rows
    ]
    return embedded(panel(tiles, "All methods", "each map on its own scale, over the picture that was explained"))
