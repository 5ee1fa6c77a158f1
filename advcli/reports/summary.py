"""The figures of a report as a person reads them: headline shares, plain figures, and tables."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advcli.core.fields import presentation
from advcli.core.records import Record

NOTHING = "\N{EN DASH}"  # where there is no figure
_LEVELS = "1/255"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One figure.

    Args:
        value: as text.
        interval: its bounds as text; empty where there are none.
        wordy: it is text, not a number.
    """

    value: str
    interval: str = ""
    wordy: bool = False


@dataclass(frozen=True)
class Table:
    """Figures that belong together.

    Args:
        caption: what they are.
        header: names of the columns, that of the row's name first.
        rows: name of each row and its cells.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def bounded(self) -> bool:
        """Whether a figure has an interval."""
        return any(cell.interval for _, cells in self.rows for cell in cells)


def shares(summary: Row) -> list[tuple[str, Cell]]:
    """Take the rates of a summary, which have a ``_low`` and a ``_high`` beside them.

    Args:
        summary: of a report.

    Returns:
        Title and cell of each that is known.
    """
    cells = _cells(summary, None)
    return [(spoken(name), cells[name]) for name in cells if f"{name}_low" in summary and summary[name] is not None]


def plain(summary: Row, record: type[Record] | None = None) -> list[tuple[str, Cell]]:
    """Take the other figures of a summary that are no tables and that are known.

    Args:
        summary: of a report.
        record: class of the records; says the units.
    """
    cells = _cells(summary, record)
    return [(spoken(name), cells[name]) for name in cells if f"{name}_low" not in summary and summary[name] is not None]


def tables(summary: Row, axes: Collection[str] = (), record: type[Record] | None = None) -> list[Table]:
    """Lay the lists of a summary out as tables.

    Args:
        summary: of a report. A list of rows, such as ``cases``, is a table; a dictionary is one with a row for each
            key. Everything else is passed over.
        axes: names that say in ``cases`` what the case's id says already.
        record: class of the records; says the units.
    """
    found = []
    for name, value in summary.items():
        if isinstance(value, Mapping):
            rows: list[Row] = [{spoken(name): key, "value": one} for key, one in value.items()]
        elif isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
            rows = [_without(one, axes) for one in value] if name == "cases" else list(value)
        else:
            continue
        if rows:
            found.append(_table(spoken(name).capitalize(), rows, record))
    return found


def spoken(name: str) -> str:
    """Turn a figure's name into words.

    Args:
        name: as in a report, such as ``robust_accuracy``.
    """
    return name.replace("_", " ")


def number(value: object, *, share: bool = False, unit: str = "") -> str:
    """Write a figure for a person, in the same way wherever it stands.

    Args:
        value: anything that JSON knows.
        share: it is a share; written in percent.
        unit: ``1/255`` multiplies by 255.

    Returns:
        Percent and 255ths with one decimal, whole numbers whole, others with three digits that count.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if share:
        return f"{100 * value:.1f} %"
    if unit == _LEVELS:
        return f"{255 * value:.1f}/255"
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e15 else f"{value:.3g}"


def _without(row: Row, axes: Collection[str]) -> Row:
    return {name: value for name, value in row.items() if name not in axes}


def _table(caption: str, rows: Sequence[Row], record: type[Record] | None) -> Table:
    """Make a table; what stands first names the row, and a column without a single value is left out."""
    first = next(iter(rows[0]))
    laid = [(str(row.get(first)), _cells(row, record)) for row in rows]
    columns = [
        name
        for name in dict.fromkeys(name for _, cells in laid for name in cells)
        if name != first and any(row.get(name) is not None for row in rows)
    ]
    body = tuple((name, tuple(cells.get(column, Cell(NOTHING)) for column in columns)) for name, cells in laid)
    return Table(caption, (spoken(first), *map(spoken, columns)), body)


def _cells(figures: Row, record: type[Record] | None) -> dict[str, Cell]:
    """Join each plain figure with its bounds."""
    return {name: cell for name, cell in _each(figures, record) if cell is not None}


def _each(figures: Row, record: type[Record] | None) -> Iterator[tuple[str, Cell | None]]:
    for name, value in figures.items():
        if name.endswith(("_low", "_high")) and name.rpartition("_")[0] in figures:
            continue
        if name in ("low", "high") and "mean" in figures:
            continue
        if isinstance(value, Mapping):
            text = ", ".join(f"{key} {number(one)}" for key, one in value.items())
            yield name, Cell(text or NOTHING, wordy=True)
        elif isinstance(value, list | tuple):
            yield name, None
        elif name == "mean":
            yield name, _mean(figures)
        else:
            share, unit = f"{name}_low" in figures, _unit(name, record)
            bounds = _interval(figures.get(f"{name}_low"), figures.get(f"{name}_high"))
            yield name, Cell(number(value, share=share, unit=unit), bounds, wordy=isinstance(value, str | bool))


def _unit(name: str, record: type[Record] | None) -> str:
    plain_name = name.removeprefix("median_")
    known = record is not None and plain_name in record.model_fields
    return presentation(record, plain_name).unit if record is not None and known else ""


def _interval(low: object, high: object) -> str:
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def _mean(figures: Row) -> Cell:
    """Write a mean with its bounds, all with the same number of decimals, so that columns can be compared."""
    mean, low, high = (figures.get(name) for name in ("mean", "low", "high"))
    if not isinstance(mean, int | float):
        return Cell(NOTHING)
    known = isinstance(low, int | float) and isinstance(high, int | float)
    return Cell(f"{mean:.3f}", f"[{low:.3f}, {high:.3f}]" if known else "")
