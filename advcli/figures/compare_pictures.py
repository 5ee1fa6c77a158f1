"""The pictures of one attacked image and what the explanations make of it, as drawings for the threads that write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from advcli.core.records import CompareRecord
from advcli.figures.attack_pictures import attack_pictures, attack_subtitle, attack_tiles
from advcli.figures.colors import color, is_signed, limit_of, overlay
from advcli.figures.map_pictures import map_tile, scale_bar
from advcli.figures.outlines import outlined
from advcli.figures.overlays import Photo, photo_overlay
from advcli.figures.panels import Tile, panel
from advcli.figures.sizing import sized
from advcli.figures.wording import said, truth

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
Drawing = Callable[[], Pixels | bytes]
AFTER_SOFTMAX = ("integrated-gradients", "expected-gradients")  # whose usual score is the probability


@dataclass(frozen=True, eq=False)
class Explanation:
    """The maps of one explanation before and after.

    Args:
        name: id of the explanation; with ``.own`` behind it where the picture's own class is explained.
        method: the id without the score.
        score: what is explained.
        before: (H, W), signed.
        after: (H, W), signed.
        top_before: marks the most important tenth of ``before``.
        top_after: marks that of ``after``.
        explained: class explained on the adversarial picture.
    """

    name: str
    method: str
    score: str
    before: Map
    after: Map
    top_before: Mask
    top_after: Mask
    explained: str | None

    @property
    def limit(self) -> float:
        """The one scale on which both maps are shown."""
        return max(limit_of(self.before), limit_of(self.after))

    @property
    def signed(self) -> bool:
        """Whether the scale is one of two signs."""
        return is_signed(self.before) or is_signed(self.after)


def compare_pictures(
    before: Pixels,
    after: Pixels,
    maps: Sequence[Explanation],
    record: CompareRecord,
    *,
    panel: bool,
    photo: Photo | None = None,
) -> Mapping[str, Drawing]:
    """Draw an attack on one image and what the explanations make of it.

    Args:
        before: the clean picture as the network saw it, (H, W, 3).
        after: the adversarial one, as saved.
        maps: explanation by explanation.
        record: of the attack on this image.
        panel: draw the panels too.
        photo: the photograph, to lay the maps over; none to draw no overlays.

    Returns:
        The pictures of ``attack_pictures``; ``NAME.before`` and ``NAME.after``, in color on one scale; with a
        photograph ``NAME.before.overlay`` and ``NAME.after.overlay`` with a line around the top tenth; and with panels
        ``panel``, ``rows`` and, where both scores were asked for, ``scores``. Each is made when it is called.
    """
    pictures = dict(attack_pictures(lambda: before, lambda: after, record, panel=False))
    for one in maps:
        sides = {"before": (one.before, one.top_before), "after": (one.after, one.top_after)}
        for side, (values, top) in sides.items():
            pictures[f"{one.name}.{side}"] = partial(color, values, one.limit, signed=one.signed)
            if photo is not None:
                pictures[f"{one.name}.{side}.overlay"] = partial(photo_overlay, photo, values, one.limit, top)
    if panel:
        pictures["panel"] = partial(compare_panel, before, after, maps, record)
        pictures["rows"] = partial(rows_panel, before, after, maps, record)
        if both_scores(maps):
            pictures["scores"] = partial(scores_panel, before, after, maps, record)
    return pictures


def compare_panel(before: Pixels, after: Pixels, maps: Sequence[Explanation], record: CompareRecord) -> Pixels:
    """Compose a row for the attack and one for each explanation: map before, where its mass went, map after."""
    rows = [attack_tiles(before, after, record)]
    for one in maps:
        moved = mass_difference(one.before, one.after)
        limit = limit_of(moved)
        rows.append(
            [
                map_tile(
                    one.before, one.limit, f"{one.name}, before", (f"for {record.explained_before}",), signed=one.signed
                ),
                Tile(
                    color(moved, limit, signed=True),
                    "where the evidence moved",
                    ("blue: lost, red: gained", *_alike(one, record)),
                    bar=scale_bar(limit, signed=True),
                ),
                map_tile(one.after, one.limit, f"{one.name}, after", (f"for {one.explained}",), signed=one.signed),
            ]
        )
    return panel(rows, record.item, attack_subtitle(record))


def rows_panel(before: Pixels, after: Pixels, maps: Sequence[Explanation], record: CompareRecord) -> Pixels:
    """Compose two rows, the original above the adversarial picture: each with its maps, laid over it."""
    top = [Tile(before, "original", (said(record.prediction, record.probability), truth(record)))]
    low = [
        Tile(
            after,
            f"adversarial, {record.method}",
            (said(record.adversarial_prediction, record.adversarial_probability), truth(record)),
            emphasis="bad" if record.misclassified_as_saved else "good",
        )
    ]
    for one in maps:
        top.append(_over(before, one, one.before, one.top_before, record.explained_before))
        low.append(_over(after, one, one.after, one.top_after, one.explained))
    return panel([top, low], record.item, attack_subtitle(record))


def both_scores(maps: Sequence[Explanation]) -> list[str]:
    """List the methods that were asked for with the score before and after the softmax."""
    scores: dict[str, set[str]] = {}
    for one in maps:
        scores.setdefault(one.method, set()).add(one.score)
    return [method for method, found in scores.items() if {"logit", "prob"} <= found]


def scores_panel(before: Pixels, after: Pixels, maps: Sequence[Explanation], record: CompareRecord) -> Pixels:
    """Compose the usual row and the reversed row: each method with its usual score, then with the other one.

    The usual score is the logit, before the softmax; for integrated gradients it is the probability, after it.
    """
    found = {(one.method, one.score): one for one in maps if not one.name.endswith(".own")}
    rows = []
    for reverse in (False, True):
        row = []
        for method in both_scores(maps):
            late = method.partition(":")[0].startswith(AFTER_SOFTMAX) != reverse
            one = found.get((method, "prob" if late else "logit"))
            if one is None:
                continue
            words = "after the softmax" if late else "before the softmax"
            kind = "reversed" if reverse else "usual"
            for picture, values, top, side in (
                (before, one.before, one.top_before, "original"),
                (after, one.after, one.top_after, "adversarial"),
            ):
                tile = _over(picture, one, values, top, None)
                row.append(Tile(tile.pixels, f"{method}, {side}", (f"{kind}: {words}",)))
        rows.append(row)
    return panel([row for row in rows if row], record.item, attack_subtitle(record))


def mass_difference(before: Map, after: Map) -> Map:
    """Give where the evidence of a map, 1 in all, was lost (below 0) and gained (above 0); 0 where one is blank."""
    shares = []
    for values in (before, after):
        mass = np.abs(values.astype(np.float64))
        if not mass.any():
            return np.zeros_like(before)
        mass /= mass.max()
        shares.append(mass / mass.sum())
    moved: Map = (shares[1] - shares[0]).astype(np.float32)
    return moved


def _over(picture: Pixels, one: Explanation, values: Map, top: Mask, explained: str | None) -> Tile:
    drawn = outlined(sized(overlay(picture, values, limit_of(values))), top)
    return Tile(drawn, one.name, (f"for {explained}", "own scale, line: top tenth"))


def _alike(one: Explanation, record: CompareRecord) -> tuple[str, ...]:
    """Say how alike the maps are, in two lines."""
    plain, own = one.name.removesuffix(".own"), one.name.endswith(".own")
    rows = [row for row in record.similarity if row.explanation == plain]
    policies = {row.after for row in rows}
    wanted = "own" if own or policies == {"own"} else "same"
    found = {row.metric: row.value for row in rows if row.after == wanted}
    lines = []
    for titles in ({"spearman": "Spearman", "ssim": "SSIM", "hog": "HOG"}, {"top_tenth_iou": "IoU of the top tenth"}):
        known = {title: found[metric] for metric, title in titles.items() if metric in found}
        lines.append(", ".join(f"{title} {'n/a' if v is None else f'{v:.2f}'}" for title, v in known.items()))
    return tuple(line for line in lines if line)
