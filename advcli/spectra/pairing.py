"""Two models side by side: which layer of one stands beside which layer of the other."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
COMPARED = ("alpha", "spectral_norm", "matrix_norm", "stable_rank", "alpha_weighted", "weight_std")


def pairs(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row | None, Row | None]]:
    """Pair the layers of two models.

    Args:
        first: records of one model, in the order of its file.
        second: of the other.

    Returns:
        Layers of one name together; where no name agrees, layers of one place and shape. Those without a partner stand
        alone, in the order of the first model, then of the second.
    """
    names = {row["name"]: row for row in second}
    partners: list[tuple[Row | None, Row | None]]
    if any(row["name"] in names for row in first):
        partners = [(row, names.get(row["name"])) for row in first]
        alone = [row for row in second if row["name"] not in {one["name"] for one in first}]
    else:
        places = {(row["layer"], tuple(row["shape"])): row for row in second}
        partners = [(row, places.pop((row["layer"], tuple(row["shape"])), None)) for row in first]
        alone = list(places.values())
    return [*partners, *((None, row) for row in alone)]


def differences(first: Sequence[Row], second: Sequence[Row]) -> list[dict[str, object]]:
    """Lay paired layers out as a table.

    Args:
        first: records of one model, in the order of its file.
        second: of the other.

    Returns:
        One row per pair: ``layer``, ``name``, the figures of ``COMPARED`` as NAME_a, NAME_b and NAME_difference (second
        less first), and both readings.
    """
    rows: list[dict[str, object]] = []
    for one, other in pairs(first, second):
        some: Row = one if one is not None else other if other is not None else {}
        row: dict[str, object] = {"layer": some["layer"], "name": some["name"]}
        for figure in COMPARED:
            a, b = (None if side is None else side.get(figure) for side in (one, other))
            difference = b - a if a is not None and b is not None else None
            row |= {f"{figure}_a": a, f"{figure}_b": b, f"{figure}_difference": difference}
        row |= {"reading_a": one["reading"] if one else None, "reading_b": other["reading"] if other else None}
        rows.append(row)
    return rows
