"""The pictures of one attacked image and what the explanations make of it, as drawings for the threads that write."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from advcli.core.records import CompareRecord
from advcli.figures.attack_pictures import attack_pictures, attack_subtitle, attack_tiles
from advcli.figures.colors import color, is_signed, limit_of
from advcli.figures.map_pictures import map_tile, scale_bar
from advcli.figures.panels import Tile, panel

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Drawing = Callable[[], Pixels | bytes]
_METRICS = {"spearman": "Spearman", "ssim": "SSIM", "hog": "HOG"}


def compare_pictures(
    before: Pixels, after: Pixels, maps: Mapping[str, tuple[Map, Map]], record: CompareRecord, *, panel: bool
) -> Mapping[str, Drawing]:
    """Draw an attack on one image and what the explanations make of it.

    Args:
        before: the clean picture as the network saw it, (H, W, 3).
        after: the adversarial one, as saved.
        maps: by the id of the explanation, the maps (H, W) before and after.
        record: of the attack on this image.
        panel: draw the panel too.

    Returns:
        The pictures of ``attack_pictures``, and ``EXPLANATION.before`` and ``EXPLANATION.after``, in color on one
        scale; each is made when it is called.
    """
    pictures = dict(attack_pictures(before, after, record, panel=False))
    for name, (clean, changed) in maps.items():
        limit = shared_limit(clean, changed)
        signed = is_signed(clean) or is_signed(changed)
        pictures[f"{name}.before"] = partial(color, clean, limit, signed=signed)
        pictures[f"{name}.after"] = partial(color, changed, limit, signed=signed)
    if panel:
        pictures["panel"] = partial(compare_panel, before, after, maps, record)
    return pictures


def shared_limit(*maps: Map) -> float:
    """Give the one scale on which several maps of one explanation are shown."""
    return max(limit_of(values) for values in maps)


def compare_panel(before: Pixels, after: Pixels, maps: Mapping[str, tuple[Map, Map]], record: CompareRecord) -> Pixels:
    """Compose a row for the attack and one for each explanation: map before, how alike they are, map after."""
    rows = [attack_tiles(before, after, record)]
    for name, (clean, changed) in maps.items():
        limit = shared_limit(clean, changed)
        signed = is_signed(clean) or is_signed(changed)
        rows.append(
            [
                map_tile(clean, limit, f"{name}, before", (f"for {record.explained_before}",), signed=signed),
                Tile(
                    color(changed - clean, limit, signed=True),
                    "after minus before, same scale",
                    (_alike(name, record), "red: more, blue: less"),
                    bar=scale_bar(limit, signed=True),
                ),
                map_tile(changed, limit, f"{name}, after", (f"for {record.explained_after}",), signed=signed),
            ]
        )
    return panel(rows, record.item, attack_subtitle(record))


def _alike(name: str, record: CompareRecord) -> str:
    found = {row.metric: row.value for row in record.similarity if row.explanation == name}
    values = {title: found.get(metric) for metric, title in _METRICS.items() if metric in found}
    return ", ".join(f"{title} {'n/a' if value is None else f'{value:.2f}'}" for title, value in values.items())
