"""Gates: figures that a run must reach for the command to succeed, as in ``--fail-under robust_accuracy=0.3``."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advcli.core.quantities import number
from advcli.core.report import Report
from advcli.errors import UsageError
from advcli.runs.command import Command

UNDER, OVER = "--fail-under", "--fail-over"


@dataclass(frozen=True)
class Gate:
    """A bound on one figure of a summary.

    Args:
        option: ``--fail-under`` or ``--fail-over``.
        figure: key of the summary; with several cases the figure of the worst one.
        bound: the figure may be equal to it.
    """

    option: str
    figure: str
    bound: float


def parse_gate(text: str, option: str) -> Gate:
    """Read ``FIGURE=X``.

    Args:
        text: as typed; X may be a quotient such as ``8/255``.
        option: that was typed.

    Raises:
        UsageError: it has another form.
    """
    figure, _, value = text.partition("=")
    try:
        bound = number(value)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not FIGURE=X", f"write {option} robust_accuracy=0.3") from None
    if not figure.strip():
        raise UsageError(f"{option} {text!r} names no figure", f"write {option} robust_accuracy=0.3")
    return Gate(option, figure.strip(), bound)


def refuse_unknown(gates: Sequence[Gate], command: Command) -> None:
    """Refuse figures that a command does not have, before anything is done.

    Args:
        gates: all of the call.
        command: one that lists its ``figures`` is held to them; else ``missed`` finds out after the run. Figures that
            it would have with another option stand in ``optional_figures``, each with the option.

    Raises:
        UsageError: the command has no such figure.
    """
    known: Sequence[str] | None = getattr(command, "figures", None)
    optional: Mapping[str, str] = getattr(command, "optional_figures", {})
    for gate in gates:
        if known is not None and gate.figure not in known:
            close = difflib.get_close_matches(gate.figure, known, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(known)}"
            if gate.figure in optional:
                hint = f"it comes with {optional[gate.figure]}"
            raise UsageError(f"{gate.option}: {command.name} has no figure {gate.figure!r}", hint)


def missed(gate: Gate, report: Report) -> str | None:
    """Say that a run does not meet a gate, with the figure, its interval and the bound; none where it does.

    With several models the figures are those of each model, and all have to meet the gate.

    Raises:
        UsageError: the summary has no such number.
    """
    models = report.summary.get("models")
    rows: list[Any] = models if isinstance(models, list) and gate.figure not in report.summary else [report.summary]
    for row in rows:
        value = row.get(gate.figure)
        if not isinstance(value, int | float):
            numbers = ", ".join(name for name, known in row.items() if isinstance(known, int | float))
            raise UsageError(f"{gate.option}: the summary has no figure {gate.figure!r}", f"it has: {numbers}")
        if value < gate.bound if gate.option == UNDER else value > gate.bound:
            return _failure(gate, value, row)
    return None


def _failure(gate: Gate, value: float, row: Mapping[str, Any]) -> str:
    low, high = (row.get(f"{gate.figure}_{end}") for end in ("low", "high"))
    interval = f" [{low:.4g}, {high:.4g}]" if isinstance(low, int | float) and isinstance(high, int | float) else ""
    model = f"{row['model']}: " if "model" in row else ""
    side = "under" if gate.option == UNDER else "over"
    return f"{model}{gate.figure} {value:.6g}{interval} is {side} {gate.bound:g} ({gate.option})"
