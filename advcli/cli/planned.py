"""What ``--dry-run`` says on the terminal."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from advcli.cli.options import RunOptions
from advcli.cli.output import number
from advcli.cli.streams import data
from advcli.cli.wording import counted, one_line

if TYPE_CHECKING:
    from advcli.runs.command import Command
    from advcli.runs.plan import Plan


def show_plan(plan: "Plan", command: "Command", run: RunOptions) -> None:
    """Print what a run would do."""
    report = plan.report
    if run.json:
        words = {key: value for key, value in asdict(plan).items() if key != "report"}
        data().write(json.dumps({**words, "report": report.model_dump(mode="json")}, default=str) + "\n")
        return
    wanted = counted(plan.total, ("result", "results"))
    cases = f" in {counted(len(plan.cases), ('case', 'cases'))}" if plan.cases else ""
    lines = [
        f"{counted(plan.listed, command.noun)}{cases}: {wanted}, {plan.done:,} done, {plan.total - plan.done:,} to do"
    ]
    facts = {**report.axes, **report.settings}
    lines += [f"{name.replace('_', ' ')}: {_told(value)}" for name, value in facts.items()]
    lines += [
        f"model {model.name}: {model.architecture}, {len(model.classes)} classes, {model.size[1]} x {model.size[0]}"
        for model in report.models
    ]
    where = {key: report.environment.get(key) for key in ("device", "precision", "batch_size")}
    where |= {"block": report.block, "seed": report.seed, "figures": report.figure_format, "dpi": report.dpi}
    lines.append(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in where.items() if value is not None))
    lines += [f"left out: {text}" for text in report.skipped] + [f"warning: {text}" for text in report.preflight]
    lines += [f"would work on {name}" for name in plan.first]
    lines += [f"and {plan.more:,} more"] if plan.more else []
    lines.append(f"results would go to {run.folder(command.name)}")
    data().write("".join(f"{one_line(line)}\n" for line in lines))


def _told(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_told(one) for one in value)
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_told(one)}" for key, one in value.items()) or "defaults"
    return json.dumps(value) if isinstance(value, bool) else "none" if value is None else number(value)
