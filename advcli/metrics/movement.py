"""How far the evidence of a map has moved: which pixels stay on top, where its center goes, and what the way costs."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from advcli.metrics.regions import TOP_K, TOP_TENTH, top_masks
from advcli.metrics.similarity import similarity

CELLS = 8  # a side of the grid on which earth is moved
Values = NDArray[np.float64]


def compare_maps(before: NDArray[np.float32], after: NDArray[np.float32]) -> dict[str, float | None]:
    """Compare two maps of one image by every measure of ``core.similarities.MEASURES``.

    Args:
        before: signed map (H, W); finite, in any units: every measure is blind to a positive factor.
        after: the other map, of the same shape.

    Returns:
        The five figures of ``similarity``, those of ``movement``, and none where one is undefined.
    """
    return {**similarity(before, after), **movement(before, after)}


def movement(before: NDArray[np.float32], after: NDArray[np.float32]) -> dict[str, float | None]:
    """Say how far the evidence of one map has moved to become that of another; evidence is the absolute value.

    Args:
        before: signed map (H, W), finite.
        after: the other map, of the same shape.

    Returns:
        ``top_k``: share of the most important 2 % of the pixels that both have in common, in [0, 1] (k = 1000 of
        224 x 224). ``top_tenth_iou``: intersection over union of the most important tenths. Pixels of value 0 are in
        no top. ``center_shift``: distance of the centers of mass as a share of the map's diagonal. ``earth_mover``:
        least cost of moving the mass of one map, 1 in all, to where the other's is, on a grid of 8 x 8 cells; the
        ground distance is the city block's, the mean of the shares of width and height that are crossed, so that the
        way from corner to corner would cost 1. All are none where a map's absolute value is constant.

    Source: Ghorbani et al. 2019, https://arxiv.org/abs/1710.10547, section 2 (top-k intersection, shift of the center);
    Rubner et al. 2000, https://doi.org/10.1023/A:1026543900054 (earth mover's distance).
    """
    first, second = (np.abs(values.astype(np.float64)) for values in (before, after))
    if not all(values.size and values.min() < values.max() for values in (first, second)):
        return dict.fromkeys(("top_k", "top_tenth_iou", "center_shift", "earth_mover"))
    first, second = first / first.max(), second / second.max()  # sums of denormal numbers would lose digits
    first, second = first / first.sum(), second / second.sum()
    (few, tenth), (few_after, tenth_after) = (top_masks(values, (TOP_K, TOP_TENTH)) for values in (first, second))
    return {
        "top_k": float((few & few_after).sum() / max(few.sum(), few_after.sum())),
        "top_tenth_iou": float((tenth & tenth_after).sum() / (tenth | tenth_after).sum()),
        "center_shift": center_shift(first, second),
        "earth_mover": earth_mover(first, second),
    }


def center_of_mass(mass: Values) -> tuple[float, float]:
    """Find the center of a map of mass.

    Args:
        mass: (H, W), not negative, 1 in all.

    Returns:
        (across, down) as shares of width and height, in (0, 1); pixels count at their middles.
    """
    height, width = mass.shape
    across = float((mass.sum(0) * (np.arange(width) + 0.5)).sum() / width)
    down = float((mass.sum(1) * (np.arange(height) + 0.5)).sum() / height)
    return across, down


def center_shift(first: Values, second: Values) -> float:
    """Give the distance of two centers of mass as a share of the diagonal, in [0, 1); arguments as ``earth_mover``."""
    (x, y), (x_after, y_after) = center_of_mass(first), center_of_mass(second)
    return float(np.hypot(x_after - x, y_after - y) / np.sqrt(2))


def earth_mover(first: Values, second: Values) -> float:
    """Give the least cost of turning one map of mass into another; see ``movement``.

    In the city block's distance a way is made of steps between neighboring cells, so that the cheapest flow on the
    edges of the grid, 224 unknowns, costs as much as the cheapest plan between all pairs of cells, 4096 unknowns.

    Args:
        first: (H, W), not negative, 1 in all.
        second: the other, of the same shape.

    Returns:
        The cost, in [0, 1), exact for mass that is pooled into cells.
    """
    cells = min(CELLS, *first.shape)
    surplus = (_pooled(first, cells) - _pooled(second, cells)).ravel()
    if cells == 1 or not surplus.any():
        return 0.0
    edges = _edges(cells)
    # The balance of the last cell follows from the others; left in, rounding errors would contradict it.
    flow = linprog(np.ones(edges.shape[1]), A_eq=edges[:-1], b_eq=surplus[:-1], method="highs-ds")
    return float(max(flow.fun, 0.0) / (2 * cells))


def _pooled(mass: Values, cells: int) -> Values:
    """Sum a map into cells (cells, cells); a pixel belongs to the cell that its upper left corner is in."""
    for axis, side in enumerate(mass.shape):
        starts = -(-np.arange(cells) * side // cells)
        mass = np.add.reduceat(mass, starts, axis=axis)
    return mass


@cache
def _edges(cells: int) -> csr_array:
    """What leaves each cell (rows) along each edge to a neighbor, there and back (columns)."""
    number = np.arange(cells * cells).reshape(cells, cells)
    pairs = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    tail = np.concatenate([one.ravel() for pair in pairs for one in pair])
    head = np.concatenate([one.ravel() for pair in pairs for one in reversed(pair)])
    column = np.arange(len(tail))
    values = np.concatenate([np.ones(len(tail)), -np.ones(len(head))])
    return csr_array((values, (np.concatenate([tail, head]), np.concatenate([column, column]))))
