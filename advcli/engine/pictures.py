"""The pictures of one image, as drawings to be made by the threads that write."""

import io
from collections.abc import Mapping
from functools import partial

import numpy as np

from advcli.core.results import AttackRecord, CompareRecord, MapRecord
from advcli.engine.stream import Drawing
from advcli.figures.colors import display, overlay
from advcli.figures.panels import Tile, difference, panel

Pair = tuple[np.ndarray, np.ndarray]
_SMOOTH = 0.05  # of the largest value: the mean step from pixel to pixel in a map that was resized from a coarse one


def attack_pictures(
    before: np.ndarray, after: np.ndarray, record: AttackRecord, *, panel: bool
) -> Mapping[str, Drawing]:
    """Draw an attack on one image.

    Args:
        before: the clean picture, uint8 (H, W, 3).
        after: the adversarial one, as saved.
        record: of the attack on this image.
        panel: draw the panel too.

    Returns:
        ``original.png``, ``adversarial.png``, ``difference.png`` and, if asked for, ``panel.png``.
    """
    pictures: dict[str, Drawing] = {
        "original.png": lambda: before,
        "adversarial.png": lambda: after,
        "difference.png": lambda: difference(before, after)[0],
    }
    if panel:
        pictures["panel.png"] = partial(_attack_panel, before, after, record)
    return pictures


def attack_tiles(before: np.ndarray, after: np.ndarray, record: AttackRecord) -> list[Tile]:
    """Original, perturbation and adversarial picture, with what the classifier says."""
    shown, times = difference(before, after)
    size = f"linf {255 * (record.linf or 0):.0f}/255, l2 {record.l2 or 0:.2f}"
    return [
        Tile(before, "original", (said(record.prediction, record.probability),)),
        Tile(shown, f"perturbation, {times:.0f} times" if times else "no perturbation", (size,)),
        Tile(
            after,
            f"adversarial ({record.method})",
            (said(record.adversarial_prediction, record.adversarial_probability),),
            emphasis="bad" if record.fooled_as_saved else "good",
        ),
    ]


def said(name: str | None, probability: float | None) -> str:
    """What the classifier says of a picture."""
    return f"{name} {probability or 0:.2f}"


def _attack_panel(before: np.ndarray, after: np.ndarray, record: AttackRecord) -> np.ndarray:
    return panel([attack_tiles(before, after, record)])


def map_pictures(
    image: np.ndarray, maps: Mapping[str, np.ndarray], record: MapRecord, *, panel: bool, array: bool
) -> Mapping[str, Drawing]:
    """Draw the explanations of one image.

    Args:
        image: uint8 (H, W, 3).
        maps: by method, float32 (H, W); those of all methods, for the panel.
        record: of one of them.
        panel: draw the panel too.
        array: keep the record's own map as float32 too.

    Returns:
        ``original.png``, ``METHOD.png`` and, if asked for, ``METHOD.npy`` and ``panel.png``.
    """
    name = str(record.method)
    values = maps[name]
    pictures: dict[str, Drawing] = {"original.png": lambda: image, f"{name}.png": partial(display, values)}
    if array:
        pictures[f"{name}.npy"] = partial(_npy, values)
    if panel:
        pictures["panel.png"] = partial(_map_panel, image, maps, record)
    return pictures


def compare_pictures(
    before: np.ndarray, after: np.ndarray, maps: Mapping[str, Pair], record: CompareRecord, *, panel: bool
) -> Mapping[str, Drawing]:
    """Draw an attack on one image and what the explanations make of it.

    Args:
        before: the clean picture, uint8 (H, W, 3).
        after: the adversarial one, as saved.
        maps: by method, the maps (H, W) before and after.
        record: of the attack on this image.
        panel: draw the panel too.

    Returns:
        The pictures of the attack, and ``METHOD.png`` and ``METHOD.adversarial.png`` for each method.
    """
    pictures = dict(attack_pictures(before, after, record, panel=False))
    for name, (clean, fooled) in maps.items():
        pictures[f"{name}.png"] = partial(display, clean)
        pictures[f"{name}.adversarial.png"] = partial(display, fooled)
    if panel:
        pictures["panel.png"] = partial(_compare_panel, before, after, maps, record)
    return pictures


def _map_panel(image: np.ndarray, maps: Mapping[str, np.ndarray], record: MapRecord) -> np.ndarray:
    tiles = [Tile(image, "original", (said(record.prediction, record.probability),))]
    for name, values in maps.items():
        evidence = f"for {record.explained}" if values.any() else "no evidence (blank)"
        tiles.append(Tile(_shown(image, values), name, (evidence,)))
    return panel([tiles])


def _compare_panel(
    before: np.ndarray, after: np.ndarray, maps: Mapping[str, Pair], record: CompareRecord
) -> np.ndarray:
    rows = [attack_tiles(before, after, record)]
    for name, (clean, fooled) in maps.items():
        alike = record.similarity[name]
        figures = ", ".join(
            f"{metric} {'n/a' if value is None else f'{value:.2f}'}"
            for metric, value in (("Spearman", alike.spearman), ("SSIM", alike.ssim), ("HOG", alike.hog))
        )
        rows.append(
            [
                Tile(_shown(before, clean), f"{name}, before", (f"for {record.explained_before}",)),
                Tile(display(_scaled(fooled) - _scaled(clean)), "change of the map", (figures,)),
                Tile(_shown(after, fooled), f"{name}, after", (f"for {record.explained_after}",)),
            ]
        )
    return panel(rows)


def _shown(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Lay smooth evidence over the picture that it is about; signed and fine maps are read better alone."""
    smooth = values.min() >= 0 and np.abs(np.diff(values)).mean() < _SMOOTH * values.max()
    return overlay(image, values) if smooth else display(values)


def _scaled(values: np.ndarray) -> np.ndarray:
    largest = np.abs(values).max()
    return values / largest if largest else values


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
