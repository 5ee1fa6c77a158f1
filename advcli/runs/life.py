"""The life of a run, the same for every command: from the folder and its lock to the last report."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from advcli.core.fields import presentation
from advcli.core.memory import give_back
from advcli.core.records import Record
from advcli.core.report import ModelReport, Report, Timings
from advcli.models.devices import pick_device, repeatable
from advcli.reports.page import render_page
from advcli.reports.summaries import summarize_records
from advcli.reports.tables import read_table, write_csv, write_parquet
from advcli.runs.charts import write_charts
from advcli.runs.command import Case, Command, Item, Prepared, Product, RunConfig, Summary
from advcli.runs.describe import environment, now
from advcli.runs.folder import opened, require_same, save_report
from advcli.runs.grid import natural
from advcli.runs.ledger import RECORDS, Ledger
from advcli.runs.preflight import doubts
from advcli.runs.stream import Stream

INPUTS_UNUSABLE = 3
TIME_IS_UP = 124  # as of the shell's timeout
PARQUET = "records.parquet"


def run(config: RunConfig, command: Command) -> Report:
    """Do what is left to do of a run, and report on all of it.

    Args:
        config: of the run.
        command: what is done.

    Returns:
        The report, as it lies in ``config.out``.

    Raises:
        AdvcliError: wrong settings, an unusable model or folder; items that cannot be used are records instead.
    """
    started = now()
    with opened(config.out, overwrite=config.overwrite) as before, repeatable():
        prepared = command.prepare(config, before)
        report = first_report(config, command, prepared, before, started)
        if before is not None:
            require_same(before, report, config.out)
        for text in (*(f"left out: {one}" for one in report.skipped), *report.preflight):
            config.listener.warn(text)
        save_report(config.out, report)
        worked, seconds, cases, left = _work_through(config, command, prepared)
        config.listener.phase("writing the report")
        give_back()  # what the work left free
        summary = _summarize(config, command, prepared, cases)
        return _finish(config, command, report, summary, _timings(prepared, worked, seconds), left)


def first_report(
    config: RunConfig, command: Command, prepared: Prepared, before: Report | None, started: str
) -> Report:
    """Describe a run before its first item; models and axes of earlier calls are kept."""
    names = "\n".join(sorted(item.identity for item in prepared.items))
    kept = (
        [model for model in before.models if model.name not in {one.name for one in prepared.models}] if before else []
    )
    models: list[ModelReport] = [*prepared.models, *kept]
    if before is not None:  # the first model of a run stays its first
        places = {model.name: place for place, model in enumerate(before.models)}
        models.sort(key=lambda model: places.get(model.name, len(places)))
    return Report(
        command=command.name,
        command_line=config.command_line,
        settings=dict(prepared.settings),
        axes=_axes(prepared.cases, before.axes if before else {}),
        models=tuple(models),
        environment={
            **environment(pick_device(config.device)), "precision": config.precision, **prepared.environment,
        },
        seed=config.seed,
        block=prepared.block,
        inputs={
            "listed": len(prepared.items),
            "digest": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest(),
        },
        skipped=tuple(prepared.skipped),
        preflight=tuple(prepared.preflight),
        tables={name: f"tables/{name}" for name in prepared.exports},
        figure_format=config.figure_format,
        dpi=config.dpi,
        started=started,
    )  # fmt: skip


def left_to_do(prepared: Prepared, ledger: Ledger) -> Iterator[tuple[Item, Sequence[Case]]]:
    """Yield the items that have cases left, in listing order, with those cases."""
    for item in prepared.items:
        left = [case for case in prepared.cases if (item.identity, case.id) not in ledger.done]
        if left:
            yield item, left


def open_ledger(config: RunConfig, command: Command, prepared: Prepared, *, repair: bool = True) -> Ledger:
    """Open the ledger of a run; see ``Ledger``."""
    items = {item.identity: item for item in prepared.items}
    axes = {case.id: case.axes for case in prepared.cases}
    return Ledger(config.out, command.record, items, axes, prepared.axes, repair=repair)


def _work_through(
    config: RunConfig, command: Command, prepared: Prepared
) -> tuple[int, float, dict[str, Mapping[str, object]], int]:
    """Work on what is left to do.

    Returns:
        How many items that were, how long it took, all cases that there are now, and how many results are left.
    """
    began = time.perf_counter()
    with open_ledger(config, command, prepared) as ledger:
        todo = list(left_to_do(prepared, ledger))
        total = len(prepared.items) * len(prepared.cases)
        config.listener.begin(command.name, command.noun, total, total - sum(len(cases) for _, cases in todo))
        order = {item.identity: place for place, item in enumerate(prepared.items)}
        stream = Stream(ledger, config.out, order, prepared.cases, config.listener, prepared.waiting)
        products = prepared.work(iter(todo), ledger)
        waiting = (
            {(item.identity, case.id) for item, cases in todo for case in cases} if prepared.time_budget else set()
        )
        try:
            stream.run(_checked_off(products, waiting, prepared.cases))
        finally:
            close = getattr(products, "close", None)
            if close is not None:
                close()
        ledger.sort()
        cases = {**ledger.cases, **{case.id: case.axes for case in prepared.cases}}
    ordered = {name: cases[name] for name in sorted(cases, key=natural)}
    return len(todo), time.perf_counter() - began, ordered, len(waiting)


def _checked_off(
    products: Iterator[Product], waiting: set[tuple[str, str]], cases: Sequence[Case]
) -> Iterator[Product]:
    """Take what comes off the list of what is left; an item that cannot be used is done under every case."""
    for product in products:
        case = product.record.case
        waiting.difference_update((product.item.identity, one) for one in ([case] if case else [c.id for c in cases]))
        yield product


def _summarize(
    config: RunConfig, command: Command, prepared: Prepared, cases: Mapping[str, Mapping[str, object]]
) -> Summary:
    """Turn the records into a table and the table into figures."""
    write_parquet(config.out / RECORDS, config.out / PARQUET, command.record)
    for name, write in prepared.exports.items():
        write(config.out / RECORDS, config.out / "tables" / name)
    return prepared.summarize(read_table(config.out / PARQUET, list(prepared.columns)), cases)


def _finish(
    config: RunConfig, command: Command, report: Report, summary: Summary, timings: Timings, left: int
) -> Report:
    """Write tables, charts, the page and the final report; ``left`` results are still to do."""
    out, records = config.out, config.out / RECORDS
    doubted = doubts(summary.values, report.models)
    if left:
        doubted.append(f"the time is up with {left:,} results left to do; the same command goes on with them")
    for text in doubted:
        config.listener.warn(text)
    for name, rows in summary.tables.items():
        write_csv(rows, out / "tables" / f"{name}.csv")
    made = {model.name for model in summary.models}
    done = report.model_copy(
        update={
            "models": (*summary.models, *(model for model in report.models if model.name not in made)),
            "preflight": (*report.preflight, *doubted),
            "summary": dict(summary.values),
            "tables": report.tables | {name: f"tables/{name}.csv" for name in summary.tables},
            "figures": write_charts(out, summary.charts, config.figure_format, config.dpi),
            "timings": timings,
            "finished": now(),
            "exit_code": TIME_IS_UP if left else INPUTS_UNUSABLE if summary.values.get("errors") else 0,
        }
    )
    render_page(done, command.record, records, summary.charts, out / "index.html")
    save_report(out, done)
    return done


def _timings(prepared: Prepared, worked: int, seconds: float) -> Timings:
    rate = worked / seconds if worked else None
    return Timings(seconds=seconds, images_per_second=rate, images=worked, cases=dict(prepared.seconds))


def _axes(cases: Sequence[Case], before: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """Collect the values of each axis, each once, those of earlier calls first."""
    axes: dict[str, list[object]] = {name: list(values) for name, values in before.items()}
    for case in cases:
        for name, value in case.axes.items():
            if value not in axes.setdefault(name, []):
                axes[name].append(value)
    return axes


def by_roles(record: type[Record], noun: str) -> Callable[[pd.DataFrame, Mapping[str, Mapping[str, object]]], Summary]:
    """Make the summary of a command that has no figures of its own: by the roles of its record's fields.

    Args:
        record: class of the records.
        noun: what the items are called, in the plural.
    """

    def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
        figures = summarize_records(frame, cases, record, noun)
        return Summary(figures.values, figures.tables)

    return summarize


def role_columns(record: type[Record]) -> list[str]:
    """Columns that ``by_roles`` reads."""
    wanted = {"figure", "count", "flag", "axis"}
    return [
        name
        for name in record.model_fields
        if name in ("item", "case", "status") or presentation(record, name).role in wanted
    ]
