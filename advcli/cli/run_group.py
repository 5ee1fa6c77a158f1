"""advcli run …: looks after runs and what they leave behind."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advcli.cli import commands
from advcli.cli.help import FrontPage, Page
from advcli.cli.streams import data
from advcli.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

app = typer.Typer(cls=FrontPage, rich_markup_mode=None, help="Look after runs: schema, diff.")


@app.callback()
def _run() -> None:
    """Look after runs: schema, diff."""


def _schema(
    command: Annotated[
        str, typer.Argument(metavar="COMMAND", help="Name of a subcommand.", autocompletion=commands.names)
    ],
    report: Annotated[bool, typer.Option("--report", help="Of report.json instead of the records.")] = False,
) -> None:
    """Print the JSON Schema of a command's records, or of its report.

    Examples:
      advcli run schema attack
      advcli run schema compare | jq '.properties | keys'
      advcli run schema attack --report
    """
    if command not in commands.names():
        raise UsageError(f"there is no command {command!r} that leaves records", f"use {', '.join(commands.names())}")

    from advcli.core.report import Report

    model: type[BaseModel] = Report if report else commands.command_class(command).record
    data().write(json.dumps(model.model_json_schema(mode="serialization"), indent=2) + "\n")


def _diff(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run over images.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another, over the same images.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where index.html, diff.json and changes.csv go.")
    ] = Path("advcli-diff"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Hold two earlier runs against one another, image by image.

    The accuracy of each case that both have, the paired difference with its interval and McNemar's test, and the
    images that are right in one run alone.

    Examples:
      advcli run diff plain/ hardened/
      advcli run diff plain/ hardened/ --json | jq '.cases[].difference'
    """
    from advcli.cli.diffing import diff

    diff(first, second, out, as_json=as_json)


app.command(name="diff", cls=Page)(commands.unfolded(_diff))
app.command(name="schema", cls=Page)(commands.unfolded(_schema))
