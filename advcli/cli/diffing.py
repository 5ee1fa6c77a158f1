"""advcli run diff: reads two runs, writes what differs, and shows it."""

import json
from pathlib import Path

from advcli.cli.output import number
from advcli.cli.parsing import absolute, command_line
from advcli.cli.streams import data
from advcli.cli.tables import print_table
from advcli.errors import UsageError


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
    from advcli.runs.folder import report_in

    runs = []
    for name, typed in (("A", first), ("B", second)):
        folder = absolute(typed)
        report = report_in(folder) if folder.is_dir() else None
        if report is None or not (folder / "records.jsonl").is_file():
            raise UsageError(f"run {name}: {typed} holds no run of advcli", "give the folder that --out named")
        runs.append((folder, report.command_line))
    folder = absolute(out)
    if (folder / "report.json").exists():
        raise UsageError(f"{out} holds a run", "give another --out")
    found = diff_runs(runs[0][0], runs[1][0])
    told = {
        "runs": {name: str(run) for name, (run, _) in zip("AB", runs, strict=True)},
        "cases": found.cases,
        "changes": found.changes,
        "left_out": found.left_out,
    }
    text = json.dumps(told, indent=2) + "\n"
    write_atomically(folder / "diff.json", text.encode("utf-8", "surrogateescape"))
    write_csv(found.changes, folder / "changes.csv")
    render_diff(found, runs, command_line(), folder / "index.html")
    if as_json:
        data().write(text)
        return
    heads = ["case", "images", "A right %", "B right %", "B minus A, points", "only A", "only B", "p", "p corrected"]
    rows = [
        [
            str(row["case"]),
            number(row["images"]),
            _percent(row, "accuracy_a"),
            _percent(row, "accuracy_b"),
            _percent(row, "difference"),
            number(row["only_a"]),
            number(row["only_b"]),
            number(row["p_value"]),
            number(row["p_holm"]),
        ]
        for row in found.cases
    ]
    print_table(heads, rows)
    for sentence in found.left_out:
        data().write(f"left out: {sentence}\n")
    data().write(f"{len(found.changes):,} changes; look at {out / 'index.html'}\n")


def _percent(row: dict[str, object], name: str) -> str:
    value, low, high = (100 * float(str(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"
