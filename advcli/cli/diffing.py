"""advcli run diff: reads two runs, writes what differs, and shows it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from advcli.cli.output import number
from advcli.cli.parsing import absolute, command_line
from advcli.cli.streams import data
from advcli.cli.tables import print_table
from advcli.errors import UsageError

if TYPE_CHECKING:
    from advcli.reports.run_diff import RunDiff


def diff(first: Path, second: Path, out: Path, *, as_json: bool) -> None:
    """Compare two runs, and leave a page, a JSON file and a table of the changes.

    Args:
        first: folder of run A.
        second: folder of run B.
        out: folder of the results; made where it is missing.
        as_json: print the figures as JSON instead of a table.

    Raises:
        UsageError: a folder holds no run, the runs have no image in common, or the results cannot be written.
    """
    from advcli.images.writing import write_atomically
    from advcli.reports.diff_page import render_diff
    from advcli.reports.run_diff import diff_runs
    from advcli.reports.tables import write_csv

    runs = [_run(name, typed) for name, typed in (("A", first), ("B", second))]
    folder = absolute(out)
    if (folder / "report.json").exists():
        raise UsageError(f"{out} holds a run", "give another --out")
    found = diff_runs(runs[0][0], runs[1][0])
    text = _as_json(found, [run for run, _ in runs])
    write_atomically(folder / "diff.json", text.encode("utf-8", "surrogateescape"))
    write_csv(found.changes, folder / "changes.csv")
    render_diff(found, runs, command_line(), folder / "index.html")
    if as_json:
        data().write(text)
        return
    print_table(list(_COLUMNS), [[write(row) for write in _COLUMNS.values()] for row in found.cases])
    for sentence in found.left_out:
        data().write(f"left out: {sentence}\n")
    data().write(f"{len(found.changes):,} changes; look at {out / 'index.html'}\n")


def _run(name: str, typed: Path) -> tuple[Path, str]:
    """Find a run; give its folder and its command line."""
    from advcli.runs.folder import report_in

    folder = absolute(typed)
    report = report_in(folder) if folder.is_dir() else None
    if report is None or not (folder / "records.jsonl").is_file():
        raise UsageError(f"run {name}: {typed} holds no run of advcli", "give the folder that --out named")
    return folder, report.command_line


def _as_json(found: "RunDiff", runs: Sequence[Path]) -> str:
    told = {
        "runs": {name: str(run) for name, run in zip("AB", runs, strict=True)},
        "cases": found.cases,
        "changes": found.changes,
        "left_out": found.left_out,
    }
    return json.dumps(told, indent=2) + "\n"


def _percent(row: Mapping[str, object], name: str) -> str:
    value, low, high = (100 * float(str(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


_COLUMNS: dict[str, Callable[[Mapping[str, object]], str]] = {
    "case": lambda row: str(row["case"]),
    "images": lambda row: number(row["images"]),
    "A right %": partial(_percent, name="accuracy_a"),
    "B right %": partial(_percent, name="accuracy_b"),
    "B minus A, points": partial(_percent, name="difference"),
    "only A": lambda row: number(row["only_a"]),
    "only B": lambda row: number(row["only_b"]),
    "p": lambda row: number(row["p_value"]),
    "p corrected": lambda row: number(row["p_holm"]),
}
