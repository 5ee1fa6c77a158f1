"""The pictures of one masked image, as drawings for the threads that write."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from advcli.core.records import MaskRecord
from advcli.figures.colors import limit_of
from advcli.figures.map_pictures import map_tile
from advcli.figures.panels import Tile, panel
from advcli.figures.wording import said, short, subtitle, truth

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Drawing = Callable[[], Pixels | bytes]


def mask_pictures(before: Pixels, after: Pixels, values: Map | None, record: MaskRecord) -> Mapping[str, Drawing]:
    """Draw a masked image.

    Args:
        before: the clean picture as the network saw it, (H, W, 3).
        after: the masked one.
        values: the map (H, W) that ranked the pixels; none for the random order.
        record: of the case.

    Returns:
        ``original``, ``masked`` and ``panel``; each is made when it is called.
    """
    return {
        "original": lambda: before,
        "masked": lambda: after,
        "panel": partial(mask_panel, before, after, values, record),
    }


def mask_panel(before: Pixels, after: Pixels, values: Map | None, record: MaskRecord) -> Pixels:
    """Compose one row: original, the map that ranked the pixels, the masked picture."""
    share = record.keep if record.keep is not None else record.remove
    done = "kept" if record.keep is not None else "removed"
    tiles = [Tile(before, "original", (said(record.prediction, record.probability), truth(record)))]
    if values is not None:
        tiles.append(map_tile(values, limit_of(values), str(record.method), ()))
    top = record.top5_after[0].probability if record.top5_after else None
    first = f"{record.prediction}: {short(record.probability_after or 0)}"
    title = f"{100 * (share or 0):g} % {done}, {record.order}, {record.fill}"
    lines = (said(record.prediction_after, top), first)
    tiles.append(Tile(after, title, lines, emphasis="bad" if record.flipped else "good"))
    return panel([tiles], record.item, subtitle(record, record.case))
