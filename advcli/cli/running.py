"""What every command does with its run: carry it out, show it, hold it against the gates."""

import sys
from typing import TYPE_CHECKING

import typer

from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.output import complain, show
from advcli.cli.planned import show_plan
from advcli.cli.progress import Progress

if TYPE_CHECKING:
    from advcli.runs.command import Command

GATE_NOT_MET = 1


def carry_out(command: "Command", run: RunOptions, model: ModelOptions | None = None) -> None:
    """Run a command, or say what it would do, and leave with the right exit code.

    Args:
        command: made from the options.
        run: options of the run.
        model: options of the networks; none for a command without.

    Raises:
        AdvcliError: wrong options, or what the run could not do.
        typer.Exit: with 1 where a gate was not met, and with the exit code of the report otherwise.
    """
    from advcli.runs.gates import missed, parse_gate, refuse_unknown
    from advcli.runs.life import run as live
    from advcli.runs.plan import plan

    run.refuse_contradictions()
    gates = [parse_gate(text, "--fail-under") for text in run.fail_under or ()]
    gates += [parse_gate(text, "--fail-over") for text in run.fail_over or ()]
    refuse_unknown(gates, command)
    out = run.folder(command.name)
    with Progress(quiet=run.quiet, jsonl=run.jsonl, out=str(out)) as progress:
        config = run.config(command.name, progress, model)
        if run.dry_run:
            show_plan(plan(config, command), command, run)
            return
        report = live(config, command)
    show(report, command, out, run)
    complain(progress.failed, progress.first_failure, out)
    failures = [text for gate in gates if (text := missed(gate, report))]
    for text in failures:
        print(f"error: {text}", file=sys.stderr)
    if failures or report.exit_code:
        raise typer.Exit(GATE_NOT_MET if failures else report.exit_code or 0)
