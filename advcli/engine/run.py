"""One run of an image command, from the list of images to the report."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from advcli.core.results import Record, Report, Timings
from advcli.engine.describe import environment, model_report, now
from advcli.engine.folder import RECORDS, opened, require_same, save_report
from advcli.engine.preflight import chance, inspect
from advcli.engine.setup import ClassifierRequest, Setup, prepare
from advcli.engine.stream import Reader, Work, stream
from advcli.images.labels import Labels
from advcli.images.writing import write_atomically
from advcli.models.card import Card
from advcli.models.classifier import Classifier
from advcli.models.devices import repeatable
from advcli.reports.ledger import Ledger, read_lines, unchanged
from advcli.reports.page import render_page
from advcli.reports.tables import write_csv, write_parquet

_BATCHES_TOGETHER = (
    4  # of images in flight: what the work gets at a time, so that leaving rows find others to replace them
)
INPUTS_UNUSABLE = 3


@dataclass(frozen=True)
class Summary:
    """The figures of a run.

    Args:
        values: by name.
        tables: by name, rows of a CSV file each.
        charts: by name, an SVG each.
    """

    values: Mapping[str, object]
    tables: Mapping[str, list[dict[str, object]]] = field(default_factory=dict)
    charts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """What makes one image command different from another.

    Args:
        name: of the subcommand.
        settings: what decides its results, beside the model and the seed.
        work: made once the classifier is known, from a request for it, its card and the images in flight.
        record: the class of its records.
        summarize: from the lines of records.jsonl.
    """

    name: str
    settings: Mapping[str, object]
    work: Callable[[ClassifierRequest, Card, int], Work]
    record: type[Record]
    summarize: Callable[[Iterable[dict[str, Any]]], Summary]


def run(setup: Setup, command: Command) -> Report:
    """Do what is left to do of a run, and report on all of it.

    Returns:
        The report, as it lies in ``setup.out``.

    Raises:
        AdvcliError: wrong settings, an unusable model or folder; images that cannot be used are records instead.
    """
    started = now()
    with opened(setup.out, overwrite=setup.overwrite) as before, repeatable():
        request, classifier, flying = prepare(setup, before)
        work = command.work(request, classifier.card, flying)
        report = _first_report(setup, command, classifier, flying, started)
        if before is not None:
            require_same(before, report, setup.out)
        for text in report.preflight:
            setup.listener.warn(text)
        save_report(setup.out, report)
        worked, seconds = _work_through(setup, work, classifier, flying)
        return _finish(setup, command, report, worked, seconds)


def _work_through(setup: Setup, work: Work, classifier: Classifier, flying: int) -> tuple[int, float]:
    """Stream the images that are not done; return how many there were and how long it took."""
    began = time.perf_counter()
    path = setup.out / RECORDS
    since = path.stat().st_mtime if path.exists() else 0.0
    where = {source.path: source.location for source in setup.sources}

    def fresh(identity: str, sha256: str) -> bool:
        return identity not in where or unchanged(where[identity], sha256, since)

    card = classifier.card
    with Ledger(path, work.per_image, fresh) as ledger:
        left = [source for source in setup.sources if source.path not in ledger.done]
        setup.listener.begin(len(setup.sources), len(setup.sources) - len(left))
        reader = Reader(card.preprocessing, card.classes, setup.labels)
        stream(left, reader, work, ledger, setup.out, batch=flying * _BATCHES_TOGETHER, each=setup.listener.record)
    return len(left), time.perf_counter() - began


def _finish(setup: Setup, command: Command, report: Report, worked: int, seconds: float) -> Report:
    """Turn the ledger into tables, charts, a page and the final report."""
    out, ledger = setup.out, setup.out / RECORDS
    summary = command.summarize(read_lines(ledger))
    warnings = _doubts(report, summary)
    for text in warnings:
        setup.listener.warn(text)
    for name, rows in summary.tables.items():
        write_csv(rows, out / "tables" / f"{name}.csv")
    for name, chart in summary.charts.items():
        write_atomically(out / "figures" / f"{name}.svg", chart)
    write_parquet(ledger, out / "records.parquet", command.record)
    done = report.model_copy(
        update={
            "preflight": (*report.preflight, *warnings),
            "summary": dict(summary.values),
            "tables": {name: f"tables/{name}.csv" for name in summary.tables},
            "figures": {name: f"figures/{name}.svg" for name in summary.charts},
            "timings": Timings(seconds=seconds, images_per_second=worked / seconds if worked else None, images=worked),
            "finished": now(),
            "exit_code": INPUTS_UNUSABLE if summary.values["errors"] else 0,
        }
    )
    render_page(done, ledger, summary.charts, out / "index.html")
    save_report(out, done)
    return done


def _doubts(report: Report, summary: Summary) -> list[str]:
    right, labelled = summary.values.get("right"), summary.values.get("labelled")
    if not isinstance(right, int) or not isinstance(labelled, int) or report.model is None:
        return []
    return chance(right, labelled, len(report.model.classes))


def _first_report(setup: Setup, command: Command, classifier: Classifier, flying: int, started: str) -> Report:
    digest = hashlib.sha256("\n".join(sorted(source.path for source in setup.sources)).encode()).hexdigest()
    return Report(
        command=command.name,
        command_line=setup.command_line,
        settings={**command.settings, "labels": _labels(setup.labels)},
        model=model_report(classifier),
        environment={**environment(classifier.device), "precision": classifier.precision, "batch_size": flying},
        seed=setup.seed,
        block=classifier.block,
        inputs={"listed": len(setup.sources), "digest": digest},
        preflight=tuple(inspect(classifier)),
        started=started,
    )


def _labels(labels: Labels) -> str:
    if labels.table is None:
        return labels.how
    return "file " + hashlib.sha256(repr(sorted(labels.table.items())).encode()).hexdigest()[:16]
