"""What an alpha says, in the words of those who defined it, and when it says nothing.

Source: Martin and Mahoney 2021, https://jmlr.org/papers/v22/20-410.html; the bounds are those of WeightWatcher 0.7.7
(``OVER_TRAINED_THRESH`` 2, ``UNDER_TRAINED_THRESH`` 6) and of https://weightwatcher.ai (4).
"""

from collections.abc import Sequence
from typing import Literal

Reading = Literal["over-trained", "well trained", "partly trained", "under-trained", "insufficient", "fit failed"]
RANGES: tuple[tuple[Reading, float, float], ...] = (
    ("over-trained", 0.0, 2.0),
    ("well trained", 2.0, 4.0),
    ("partly trained", 4.0, 6.0),
    ("under-trained", 6.0, float("inf")),
)
SUPPORTED: tuple[Reading, ...] = tuple(name for name, _, _ in RANGES)
ENOUGH = 50  # eigenvalues; WeightWatcher's authors advise it, its default is 8
ABOUT_ALPHA = (
    "alpha is read as its authors do: below 2 over-trained, 2 to 4 well trained, 4 to 6 partly trained, above 6 "
    "under-trained. The report that the recipe seed-004 follows reads it the other way round, and calls 2.74 mild "
    "over-fitting and 4.71 strong regularization. A heavier tail (smaller alpha) means stronger correlations that were "
    "learned, and speaks of over-training only below 2; and its 4.71 is of a layer with 27 eigenvalues, which can be "
    "read neither way. Layers of pure noise often land between 2 and 6 too, so a layer with fewer than 50 "
    "eigenvalues, or whose shuffled weights give an alpha in the same range, is not read. Compare only networks of one "
    "architecture."
)


def range_of(alpha: float) -> Reading:
    """Name the range that an alpha falls into; a bound belongs to the range above it, 6 to the one below."""
    if alpha == RANGES[-1][1]:
        return "partly trained"
    return next(name for name, low, high in RANGES if low <= alpha < high)


def read_alpha(alpha: float | None, null: float | None, eigenvalues: int) -> tuple[Reading, tuple[str, ...]]:
    """Read one layer's alpha.

    Args:
        alpha: of the layer; none, or not positive, where the fit failed.
        null: alpha of the same weights shuffled; none where that fit failed.
        eigenvalues: of the layer.

    Returns:
        The reading; and why it is ``insufficient``: ``few-eigenvalues``, ``like-shuffled``.
    """
    if alpha is None or alpha <= 0:
        return "fit failed", ()
    reasons = []
    if eigenvalues < ENOUGH:
        reasons.append("few-eigenvalues")
    if null is not None and null > 0 and range_of(null) == range_of(alpha):
        reasons.append("like-shuffled")
    return ("insufficient", tuple(reasons)) if reasons else (range_of(alpha), ())


def mean_alpha(alphas: Sequence[float | None], readings: Sequence[str]) -> float | None:
    """Average the alphas that can be read; failed fits, which WeightWatcher counts as -1, are not among them.

    Args:
        alphas: of the layers.
        readings: of the same layers.

    Returns:
        The mean; none where no layer can be read.
    """
    kept = [alpha for alpha, word in zip(alphas, readings, strict=True) if word in SUPPORTED and alpha is not None]
    return sum(kept) / len(kept) if kept else None
