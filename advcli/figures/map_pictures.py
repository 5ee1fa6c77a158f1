"""The pictures of one explained image, as drawings for the threads that write."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from advcli.core.records import MapRecord
from advcli.figures.colors import color, is_signed, legend, limit_of, overlay
from advcli.figures.outlines import outlined
from advcli.figures.overlays import Photo, photo_overlay
from advcli.figures.panels import Bar, Tile, panel
from advcli.figures.sizing import sized
from advcli.figures.wording import said, short, subtitle, truth

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
Drawing = Callable[[], Pixels | bytes]


def map_pictures(
    image: Pixels,
    values: Map,
    record: MapRecord,
    *,
    photo: Photo | None = None,
    panel: bool,
    array: bool,
    limit: float | None = None,
    outline: Mask | None = None,
) -> Mapping[str, Drawing]:
    """Draw one explanation of one image.

    Args:
        image: the picture as the network saw it, (H, W, 3).
        values: signed map (H, W), in any units.
        record: of the explanation.
        photo: the photograph and the part of it that the network saw; by default the picture itself.
        panel: draw the panel too.
        array: keep the map as float32 too.
        limit: magnitude at the ends of the scale; by default the map's own, see ``limit_of``.
        outline: part of the map (H, W) to draw a line around, or none.

    Returns:
        ``original``, ``map`` (in color, on its own scale), ``overlay`` (at the photograph's own size) and, if asked
        for, ``npy`` and ``panel``; each is made when it is called.
    """
    pictures: dict[str, Drawing] = {
        "original": lambda: image,
        "map": lambda: color(values, limit_of(values) if limit is None else limit),
        "overlay": partial(photo_overlay, photo or Photo.whole(image), values, limit, outline),
    }
    if array:
        pictures["npy"] = partial(npy_bytes, values)
    if panel:
        pictures["panel"] = partial(map_panel, image, [(values, record)], limit, outline)
    return pictures


def map_panel(
    image: Pixels, maps: Sequence[tuple[Map, MapRecord]], limit: float | None = None, outline: Mask | None = None
) -> Pixels:
    """Compose one row for each explanation of one image: original, map, map over the picture.

    Args:
        image: as the network saw it, (H, W, 3).
        maps: explanations with their records, at least one, all of one model.
        limit: magnitude at the ends of the scales; by default each map's own.
        outline: part of the maps (H, W) to draw a line around, or none.
    """
    record = maps[0][1]
    rows = []
    for values, one in maps:
        end = limit_of(values) if limit is None else limit
        over = overlay(image, values, end)
        over = over if outline is None else outlined(sized(over), outline)
        layer = None if one.layer is None else f"layer {one.layer}"
        lines = (f"for {one.explained}", f"{one.score} score" if layer is None else layer)
        rows.append(
            [
                Tile(image, "original", (said(one.prediction, one.probability), truth(one))),
                map_tile(values, end, str(one.method), lines),
                Tile(over, "over the picture", (meaning(signed=is_signed(values)),)),
            ]
        )
    case = record.case if len(maps) == 1 else None
    return panel(rows, record.item, subtitle(record, case))


def map_tile(values: Map, limit: float, title: str, lines: tuple[str, ...], *, signed: bool | None = None) -> Tile:
    """Show a map with its color bar, and say how its scale was cut.

    Args:
        values: signed map (H, W).
        limit: magnitude at the ends of the scale; 0 where there is no evidence.
        title: above it.
        lines: below it.
        signed: use the scale of two signs; by default where a value is negative.
    """
    largest = float(np.abs(values).max(initial=0))
    if limit == 0:
        return Tile(color(values, limit), title, (*lines, "no evidence (blank)"))
    signed = is_signed(values) if signed is None else signed
    cut = f"cut at {short(limit)}, largest {short(largest)}" if largest > limit else "scale: whole range"
    return Tile(color(values, limit, signed=signed), title, (*lines, cut), bar=scale_bar(limit, signed=signed))


def scale_bar(limit: float, *, signed: bool) -> Bar | None:
    """Make the color bar of a map; none where there is no evidence."""
    if limit == 0:
        return None
    return Bar(legend(signed=signed), short(limit), "0" if signed else "", short(-limit) if signed else "0")


def meaning(*, signed: bool) -> str:
    """Say what the colors stand for."""
    return "red: for, blue: against" if signed else "brighter: more evidence"


def npy_bytes(values: Map) -> bytes:
    """Keep a map as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
