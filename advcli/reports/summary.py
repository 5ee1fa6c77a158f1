"""The figures of a report as tables that a person reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

NOTHING = "\N{EN DASH}"  # where there is no figure


@dataclass(frozen=True)
class Cell:
    """One figure.

    Args:
        value: as text.
        interval: its bounds as text; empty where there are none.
    """

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """A few figures that belong together.

    Args:
        caption: what they are.
        header: names of the columns; empty where there is only one.
        rows: name of each row and its cells.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def tables(summary: Mapping[str, object]) -> list[Table]:
    """Lay a summary out as tables.

    Args:
        summary: of a report. A figure whose name has a ``_low`` and a ``_high`` beside it gets an interval, and one
            whose value is itself a dictionary of dictionaries gets a table.

    Returns:
        One table for the plain figures, one for each nested group.
    """
    plain = tuple((spoken(name), (cell,)) for name, cell in _cells(summary).items())
    nested = [table for name, value in summary.items() if isinstance(value, Mapping) for table in _nested(name, value)]
    return [Table("Summary", (), plain), *nested]


def spoken(name: str) -> str:
    """Turn a figure's name into words.

    Args:
        name: as in a report, such as ``robust_accuracy``.
    """
    return name.replace("_", " ")


def number(name: str, value: object) -> str:
    """Write a figure for a person: shares in percent, whole numbers whole, others with three digits that count.

    Args:
        name: of the figure; accuracies and rates are shares.
        value: anything that JSON knows.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if "accuracy" in name or "rate" in name.split("_"):
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _cells(figures: Mapping[str, object]) -> dict[str, Cell]:
    """Join each plain figure with its bounds."""
    bounds = {f"{name}{end}" for name in figures for end in ("_low", "_high")}
    cells = {}
    for name, value in figures.items():
        if name in bounds or isinstance(value, Mapping):
            continue
        interval = _interval(name, figures.get(f"{name}_low"), figures.get(f"{name}_high"))
        cells[name] = Cell(number(name, value), interval)
    return cells


def _interval(name: str, low: object, high: object) -> str:
    if low is None or high is None:
        return ""
    return f"[{number(name, low).removesuffix(' %')}, {number(name, high).removesuffix(' %')}]"


def _nested(name: str, groups: Mapping[str, object]) -> Iterator[Table]:
    """Make a table with a row for each group; groups of groups of estimates get a table each."""
    rows = {str(group): figures for group, figures in groups.items() if isinstance(figures, Mapping)}
    if any(_is_deep(figures) for figures in rows.values()):
        for group, figures in rows.items():
            yield from _nested(f"{name}, {group}", figures)
        return
    cells = {group: {**_cells(figures), **_estimates(figures)} for group, figures in rows.items()}
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    if columns:
        laid = tuple((group, tuple(row.get(c, Cell(NOTHING)) for c in columns)) for group, row in cells.items())
        yield Table(spoken(name).capitalize(), tuple(spoken(column) for column in columns), laid)


def _is_deep(figures: Mapping[str, object]) -> bool:
    inner = [value for value in figures.values() if isinstance(value, Mapping)]
    return any("mean" not in value for value in inner)


def _estimates(figures: Mapping[str, object]) -> dict[str, Cell]:
    return {name: _estimate(value) for name, value in figures.items() if isinstance(value, Mapping)}


def _estimate(value: Mapping[str, object]) -> Cell:
    """Write a mean with its bounds, all with the same number of decimals, so that columns can be compared."""
    figures = [value.get(name) for name in ("mean", "low", "high")]
    mean, low, high = (f"{figure:.3f}" if isinstance(figure, float) else NOTHING for figure in figures)
    return Cell(mean, f"[{low}, {high}]" if mean != NOTHING else "")
