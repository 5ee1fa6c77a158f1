"""What every image command does with its run: carry it out, show it, hold it against the gates."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from advcli.cli.options import Common
from advcli.cli.output import complain, show, show_plan
from advcli.cli.progress import Progress
from advcli.errors import UsageError
from advcli.registry import number

if TYPE_CHECKING:
    from advcli.core.results import Report
    from advcli.engine.run import Command
    from advcli.engine.setup import Setup

GATE_NOT_MET = 1


def carry_out(
    name: str,
    common: Common,
    describe: "Callable[[Setup], Command]",
    run: "Callable[[Setup], Report]",
) -> None:
    """Run a command over images, or say what it would do, and leave with the right exit code.

    Args:
        name: of the subcommand.
        common: the shared options.
        describe: makes the engine's description of the command, for ``--dry-run``.
        run: does it.

    Raises:
        AdvcliError: see the engine.
    """
    gates = [*_gates(common.fail_under, "--fail-under"), *_gates(common.fail_over, "--fail-over")]
    with Progress(quiet=common.quiet, jsonl=common.jsonl, out=str(common.out or f"advcli-{name}")) as progress:
        setup = common.setup(name, progress)
        if common.dry_run:
            from advcli.engine.plan import plan

            show_plan(plan(setup, describe(setup)), common)
            return
        report = run(setup)
    show(report, setup.out, common)
    complain(progress.refused, setup.out)
    missed = [text for gate in gates if (text := _missed(gate, report))]
    for text in missed:
        complain_gate(text)
    if missed:
        raise typer.Exit(GATE_NOT_MET)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def complain_gate(text: str) -> None:
    """Say that a gate was not met."""
    typer.echo(f"error: {text}", err=True)


def _gates(texts: list[str] | None, option: str) -> list[tuple[str, str, float]]:
    gates = []
    for text in texts or []:
        figure, _, value = text.partition("=")
        try:
            gates.append((option, figure.strip(), number(value)))
        except (ValueError, ZeroDivisionError):
            raise UsageError(f"{option} {text!r} is not FIGURE=X", f"write {option} robust_accuracy=0.3") from None
    return gates


def _missed(gate: tuple[str, str, float], report: "Report") -> str | None:
    option, figure, bound = gate
    value = report.summary.get(figure)
    if not isinstance(value, int | float):
        numbers = ", ".join(name for name, known in report.summary.items() if isinstance(known, int | float))
        raise UsageError(f"{option}: the summary has no figure {figure!r}", f"it has: {numbers}")
    if option == "--fail-under" and value < bound:
        return f"{figure} {value:.6g} is under {bound:g}"
    if option == "--fail-over" and value > bound:
        return f"{figure} {value:.6g} is over {bound:g}"
    return None
