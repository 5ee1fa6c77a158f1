"""The pictures of one attacked image, as drawings for the threads that write."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from advcli.core.records import AttackRecord
from advcli.figures.panels import Tile, panel
from advcli.figures.perturbations import difference, scale_limit
from advcli.figures.wording import eps_text, said, short, subtitle, truth

Pixels = NDArray[np.uint8]
Drawing = Callable[[], Pixels | bytes]


def attack_pictures(
    before: Callable[[], Pixels], after: Callable[[], Pixels], record: AttackRecord, *, panel: bool
) -> Mapping[str, Drawing]:
    """Draw an attack on one image.

    Args:
        before: gives the clean picture as the network saw it, (H, W, 3).
        after: gives the adversarial one, as saved.
        record: of the attack on this image.
        panel: draw the panel too.

    Returns:
        ``original``, ``adversarial``, ``difference`` and, if asked for, ``panel``; each is made when it is called.
    """
    pictures: dict[str, Drawing] = {
        "original": before,
        "adversarial": after,
        "difference": lambda: _difference(before(), after(), record)[0],
    }
    if panel:
        pictures["panel"] = lambda: attack_panel(before(), after(), record)
    return pictures


def attack_panel(before: Pixels, after: Pixels, record: AttackRecord) -> Pixels:
    """Compose one row: original, perturbation, adversarial picture."""
    return panel([attack_tiles(before, after, record)], record.item, attack_subtitle(record))


def attack_subtitle(record: AttackRecord) -> str:
    """Write what was done to the image, by whom it is read: label, model, case."""
    goal = None if record.target is None else f"target {record.target}"
    return subtitle(record, record.case, goal)


def attack_tiles(before: Pixels, after: Pixels, record: AttackRecord) -> list[Tile]:
    """Show original, perturbation and adversarial picture with what the classifier says."""
    shown, times = _difference(before, after, record)
    unchanged = np.array_equal(before, after)
    linf = record.linf_as_saved if record.linf_as_saved is not None else record.linf
    l2 = record.l2_as_saved if record.l2_as_saved is not None else record.l2
    size = f"linf {eps_text(linf or 0, 'linf')}, l2 {short(l2 or 0)}"
    after_said = said(record.adversarial_prediction, record.adversarial_probability)
    return [
        Tile(before, "original", (said(record.prediction, record.probability), truth(record))),
        Tile(shown, "no perturbation" if unchanged else f"perturbation, {times:.3g} times", (size, "grey: unchanged")),
        Tile(
            after,
            f"adversarial, {record.method}",
            (after_said, truth(record)),
            emphasis="bad" if record.misclassified_as_saved else "good",
        ),
    ]


def _difference(before: Pixels, after: Pixels, record: AttackRecord) -> tuple[Pixels, float]:
    return difference(before, after, scale_limit(record.norm, record.eps, before.size))
