"""What a finished run says on the terminal: tables for people, JSON for programs, paths for pipes.

The tables know no command: what a field is called, and whether it is shown, stands beside the field in the command's
class of records.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advcli.cli.options import RunOptions
from advcli.cli.streams import data
from advcli.cli.tables import Cell, print_table
from advcli.cli.wording import counted, one_line
from advcli.errors import UsageError

if TYPE_CHECKING:
    from advcli.core.fields import Presentation
    from advcli.core.report import Report
    from advcli.runs.command import Command

_FEW = 16  # results that are listed one by one
_LONGEST = 24  # rows of a table, but for the cases, that are shown
_WRONG = "✗ "
_TOLD = ("sign", "advice")  # sentences of a diagnosis, which stand in the warnings
Line = Mapping[str, Any]


def show(report: "Report", command: "Command", out: Path, run: RunOptions) -> None:
    """Print a run in the form that was asked for.

    Args:
        report: of the run.
        command: that was carried out.
        out: folder of the run, as it is shown to people.
        run: options.
    """
    if run.json:
        data().write(report.model_dump_json(indent=2) + "\n")
    elif run.quiet:
        _print_paths(out, run.only or ())
    elif not run.jsonl:
        _show_records(out, command)
        for name, rows in report.summary.items():
            if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows):
                _show_rows(name, rows, report, long=name in command.record.long_tables)
        for sentence in _sentences(report):
            data().write(f"{one_line(sentence)}\n")
        seconds = f" in {report.timings.seconds:.1f} s" if report.timings else ""
        listed = int(str(report.inputs.get("listed", 0)))
        stopped = report.summary.get("stopped_after")  # a training that ended early has fewer epochs than it lists
        early = f"{stopped} of " if stopped is not None else ""
        data().write(f"{early}{counted(listed, command.noun)}{seconds}; look at {out / 'index.html'}\n")


def _sentences(report: "Report") -> list[str]:
    """What a summary says in words."""
    notes = report.summary.get("notes")
    return [str(one) for one in notes] if isinstance(notes, list | tuple) else []


def complain(failed: int, first: tuple[str, str] | None, out: Path) -> None:
    """Name what could not be used.

    Args:
        failed: number of items.
        first: name and reason of the first of them.
        out: folder of the run.
    """
    if first is None:
        return
    item, reason = first
    more = f" (and {failed - 1:,} more)" if failed > 1 else ""
    print(f"error: {one_line(item)} could not be used: {one_line(reason)}{more}", file=sys.stderr)
    print(f'hint: the rest is done; see the records with "status":"error" in {out / "records.jsonl"}', file=sys.stderr)


def _lines(out: Path) -> Iterator[dict[str, Any]]:
    from advcli.reports.lines import read_lines

    try:
        yield from read_lines(out / "records.jsonl")
    except OSError as error:
        hint = "was it deleted? then give the command again"
        raise UsageError(f"{out / 'records.jsonl'} cannot be read: {error.strerror or error}", hint) from error


def _print_paths(out: Path, kinds: Sequence[str]) -> None:
    """Print each picture's path once; with ``kinds`` those of these kinds only.

    Raises:
        UsageError: there are pictures, but none of a kind that was asked for.
    """
    told: set[str] = set()  # of one item: cases share pictures, items do not
    item = None
    known: set[str] = set()
    for line in _lines(out):
        if line["item"] != item:
            item, told = line["item"], set()
        known.update(line["files"])
        for kind, file in line["files"].items():
            if (not kinds or kind in kinds) and file not in told:
                told.add(file)
                data().write(f"{out / file}\n")
    missing = [kind for kind in kinds if kind not in known]
    if missing and known:
        raise UsageError(f"-q={missing[0]}: the run has no such pictures", f"it has {', '.join(sorted(known))}")


def _show_records(out: Path, command: "Command") -> None:
    """Print one row per record, where there are few."""
    lines = []
    for line in _lines(out):
        lines.append(line)
        if len(lines) > _FEW:
            return
    if not lines:
        return
    fields = _shown_fields(command)
    rows = [{command.noun[0]: Cell(str(line["item"])), **_row(line, fields)} for line in lines]
    names = list(dict.fromkeys(name for row in rows for name in row))
    telling = [name for name in names if any(name in row and row[name].text for row in rows)]
    print_table(telling, [[row.get(name, Cell("")) for name in telling] for row in rows])
    if any(cell.text.startswith(_WRONG) for row in rows for cell in row.values()):
        data().write(f"{_WRONG.strip()} is not the class that the {command.noun[0]} is held against\n")


def _shown_fields(command: "Command") -> list[tuple[str, "Presentation"]]:
    from advcli.core.fields import presentation

    known = [(name, presentation(command.record, name)) for name in command.record.model_fields]
    shown = [(name, look) for name, look in known if look.terminal]
    identities = [(name, look) for name, look in shown if look.role == "identity"]
    return identities + [(name, look) for name, look in shown if look.role != "identity"]


def _row(line: Line, fields: Sequence[tuple[str, "Presentation"]]) -> dict[str, Cell]:
    """Turn one record into cells by title; a probability stands behind the class before it."""
    row: dict[str, Cell] = {}
    before = ""
    for name, look in fields:
        value = line.get(name)
        if look.role == "probability" and before:
            cell = row[before]
            if cell.text and isinstance(value, int | float):
                row[before] = Cell(f"{cell.text} {value:.2f}", cell.style)
            continue
        before = look.title if look.role == "class" else ""
        row[look.title] = _class(line, value) if look.role == "class" else Cell(_text(line, name, value, look))
    if line.get("status") == "error":
        row["notes"] = Cell(str(line.get("error")), "red")
    return row


def _class(line: Line, value: object) -> Cell:
    """Mark a class that is not the one the item is held against."""
    if value is None:
        return Cell("")
    wrong = line.get("label") is not None and value != line["label"]
    return Cell(f"{_WRONG if wrong else ''}{value}", "red" if wrong else "")


def _text(line: Line, name: str, value: object, look: "Presentation") -> str:
    if value is None or (name == "label" and line.get("label_source") == "predicted"):
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float) and look.unit == "1/255":
        return f"{255 * value:.3g}/255"
    return number(value, look.unit)


def number(value: object, unit: str = "") -> str:
    """Write a value of a record or a summary for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        digits = f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
        return f"{digits}{unit and ' ' + unit}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _show_rows(name: str, rows: Sequence[Line], report: "Report", *, long: bool) -> None:
    """Print a list of a summary: one row per case, without the axes, which the case's id says.

    Args:
        name: of the list.
        rows: of it.
        report: that it stands in.
        long: count the rows only, and say where they are.
    """
    title, whole = None if name == "cases" else name.replace("_", " "), len(rows)
    if all("metric" in row and "mean" in row and "p_value" not in row for row in rows):
        against = {str(row["against"]) for row in rows if "against" in row}
        title = f"{name}, against {', '.join(sorted(against))}" if against else title
        rows = _side_by_side(rows)
    elif all("source" in row and "target" in row for row in rows):
        title, rows = f"{name}: attack success rate in %, the picture's class by target", _by_target(rows)
    if long or (name != "cases" and len(rows) > _LONGEST):
        data().write(f"\n{title}: {whole:,} rows, in {report.tables.get(name, 'report.json')}\n")
        return
    axes = set(report.axes) if name == "cases" else set()
    keys = [
        key
        for key in dict.fromkeys(key for row in rows for key in row)
        if key not in axes
        and key not in _TOLD
        and not key.endswith(("_low", "_high"))
        and any(_is_plain(row.get(key)) for row in rows)
    ]
    head = [f"{key.replace('_', ' ')}{' %' if any(_is_rate(row, key) for row in rows) else ''}" for key in keys]
    print_table(head, [[_figure(row, key) for key in keys] for row in rows], title=title)


def _side_by_side(rows: Sequence[Line]) -> list[dict[str, Any]]:
    """Put the metrics of a long list beside each other, without what is the same for all or told by the case."""
    spread = ("n", "undefined", "mean", "low", "high", "floor_shuffled", "floor_noise", "ceiling")
    figures = ("metric", "against", *spread)
    axes = [key for key in rows[0] if key not in figures and len({str(row.get(key)) for row in rows}) > 1]
    cases = len({row.get("case") for row in rows})
    told = [
        key for key in axes if key != "case" and len({(row.get("case"), str(row.get(key))) for row in rows}) == cases
    ]
    axes = [key for key in axes if key not in told]
    wide: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        place = tuple(str(row.get(key)) for key in axes)
        shown = _bounded(row) if "against" in row else row["mean"]
        wide.setdefault(place, {key: row.get(key) for key in axes})[str(row["metric"])] = shown
    return list(wide.values())


def _bounded(row: Line) -> str:
    """Write a difference with its interval."""
    if row["mean"] is None:
        return "-"
    bounds = "" if row["low"] is None else f" [{row['low']:.2g}, {row['high']:.2g}]"
    return f"{row['mean']:+.3g}{bounds}"


def _by_target(rows: Sequence[Line]) -> list[dict[str, Any]]:
    """Turn a long list of sources and targets into a row for each source and a column for each target."""
    several = len({row.get("attack") for row in rows}) > 1
    targets = sorted({str(row["target"]) for row in rows})
    wide: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (str(row.get("attack")), str(row["source"]))
        names = {"attack": key[0], "class": key[1]} if several else {"class": key[1]}
        blank = dict.fromkeys(targets, "")
        wide.setdefault(key, {**names, **blank})[str(row["target"])] = f"{100 * row['attack_success_rate']:.0f}"
    return list(wide.values())


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_rate(row: Line, key: str) -> bool:
    return all(isinstance(row.get(name), int | float) for name in (key, f"{key}_low", f"{key}_high"))


def _figure(row: Line, key: str) -> str:
    """Write a figure; a rate in percent with its interval."""
    if _is_rate(row, key):
        return f"{100 * row[key]:.1f} [{100 * row[f'{key}_low']:.0f}, {100 * row[f'{key}_high']:.0f}]"
    return number(row.get(key))
