"""The page of two runs that are held against one another."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from advcli.images.writing import whole
from advcli.reports.page import environment, policy_of, template_text
from advcli.reports.run_diff import RunDiff
from advcli.reports.summary import NOTHING, tables

MOST_PICTURES = 400  # changes that are shown; all are in changes.csv


def render_diff(diff: RunDiff, runs: Sequence[tuple[Path, str]], command_line: str, path: Path) -> None:
    """Write the page, in one file that asks nothing of the network.

    Args:
        diff: what the runs say.
        runs: folder and command line of A and of B; their pictures are shown from where they lie.
        command_line: that made the page.
        path: where to, whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    style = template_text("page.css") + template_text("diff.css")
    shown = [_pictured(row, [run for run, _ in runs], path.parent) for row in diff.changes[:MOST_PICTURES]]
    text = (
        environment()
        .get_template("diff.html.j2")
        .render(
            policy=policy_of(style),
            style=Markup(style),  # noqa: S704 - our own files
            runs=[(name, str(folder), line) for name, (folder, line) in zip("AB", runs, strict=True)],
            command_line=command_line,
            table=tables({"cases": [_plain(row) for row in diff.cases]})[0],
            changes=shown,
            more=len(diff.changes) - len(shown),
            left_out=diff.left_out,
            nothing=NOTHING,
        )
    )
    with whole(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="replace")


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {name: f"{value:.2g}" if name.startswith("p_") else value for name, value in row.items()}


def _pictured(row: Mapping[str, object], folders: Sequence[Path], page: Path) -> dict[str, object]:
    """Add the addresses of the pictures, relative to the page."""
    told = dict(row)
    for side, folder in zip("ab", folders, strict=True):
        picture = row[f"picture_{side}"]
        where = None if picture is None else os.path.relpath(folder / str(picture), page)
        told[f"picture_{side}"] = None if where is None else "./" + quote(where, errors="replace")
    return told
