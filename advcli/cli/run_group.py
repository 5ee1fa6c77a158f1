"""advcli run …: looks after runs and what they leave behind."""

import json
from typing import Annotated

import typer

from advcli.cli.commands import guarded
from advcli.cli.parsing import choice
from advcli.cli.streams import data

app = typer.Typer(no_args_is_help=True, help="Look after runs: schema.")
_COMMANDS = ("attack", "compare", "explain", "saliency")


def _schema(
    command: Annotated[str, typer.Argument(metavar="COMMAND", autocompletion=lambda: list(_COMMANDS))],
    report: Annotated[bool, typer.Option("--report", help="Of report.json instead of the records.")] = False,
) -> None:
    """Print the JSON Schema of a command's records, or of its report.

    Example: advcli run schema attack
    """
    choice(command, "COMMAND", _COMMANDS)

    from advcli.core import results

    records: dict[str, type[results.Record]] = {
        "attack": results.AttackRecord,
        "compare": results.CompareRecord,
        "explain": results.MapRecord,
        "saliency": results.MapRecord,
    }
    model: type[results.Result] = results.Report if report else records[command]
    data().write(json.dumps(model.model_json_schema(mode="serialization"), indent=2) + "\n")


app.command(name="schema")(guarded(_schema))
