"""What a run would do: ``--dry-run``."""

from dataclasses import dataclass

from advcli.core.report import Report
from advcli.runs.command import Command, RunConfig
from advcli.runs.describe import now
from advcli.runs.folder import is_run, report_in, require_same
from advcli.runs.ledger import RECORDS
from advcli.runs.life import first_report, left_to_do, open_ledger

_FEW = 5


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Args:
        listed: items.
        cases: ids of the cases, in order.
        total: results wanted: items times cases.
        done: of them, finished before and still holding.
        first: identities of the first items that would be worked on.
        more: number of items behind those.
        report: as the run would begin it.
        out: folder of the run.
    """

    listed: int
    cases: tuple[str, ...]
    total: int
    done: int
    first: tuple[str, ...]
    more: int
    report: Report
    out: str


def plan(config: RunConfig, command: Command) -> Plan:
    """Say what a run would do, and refuse what it would refuse, without writing anything.

    Raises:
        AdvcliError: as ``run`` would.
    """
    before = None if config.overwrite and is_run(config.out) else report_in(config.out)
    prepared = command.prepare(config, before)
    report = first_report(config, command, prepared, before, now())
    todo = [(item, prepared.cases) for item in prepared.items]
    if before is not None:
        require_same(before, report, config.out)
        if (config.out / RECORDS).exists():
            todo = list(left_to_do(prepared, open_ledger(config, command, prepared, repair=False)))
    total = len(prepared.items) * len(prepared.cases)
    return Plan(
        listed=len(prepared.items),
        cases=tuple(case.id for case in prepared.cases),
        total=total,
        done=total - sum(len(cases) for _, cases in todo),
        first=tuple(item.identity for item, _ in todo[:_FEW]),
        more=max(0, len(todo) - _FEW),
        report=report,
        out=str(config.out),
    )
