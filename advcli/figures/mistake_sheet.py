"""A contact sheet of the pictures that a network is most wrongly sure of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advcli.figures.noise_sheets import embedded
from advcli.figures.panels import Tile, panel

ACROSS = 6  # pictures beside each other


@dataclass(frozen=True, eq=False)
class Mistake:
    """One picture.

    Args:
        pixels: uint8 (H, W, 3).
        label: class that it is.
        prediction: class that it is taken for.
        probability: of the prediction.
        name: of the picture; empty where it has none.
    """

    pixels: NDArray[np.uint8]
    label: str
    prediction: str
    probability: float
    name: str = ""


def mistake_sheet(mistakes: Sequence[Mistake], title: str) -> bytes:
    """Compose pictures, at least one, in rows of six.

    Args:
        mistakes: the worst first.
        title: above all.

    Returns:
        An SVG file, which holds the sheet as it is.
    """
    tiles = [
        Tile(one.pixels, one.label, (f"{one.prediction} {one.probability:.3f}", one.name), "bad") for one in mistakes
    ]
    rows = [tiles[start : start + ACROSS] for start in range(0, len(tiles), ACROSS)]
    subtitle = "above: what it is; below: what it is taken for; the label that the network finds least likely first"
    return embedded(panel(rows, title, subtitle))
