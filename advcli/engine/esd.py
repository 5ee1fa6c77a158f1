"""Esd: spectra, weights and biases of a model, of a training's course, or of two models side by side."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import torch

from advcli.core.esd import EsdRecord
from advcli.core.records import ErrorRecord, Record
from advcli.core.report import Report
from advcli.engine._esd_checkpoints import Checkpoint, Checkpoints, find_checkpoints, sha256_of, state_of
from advcli.engine._esd_records import esd_record, missing_record
from advcli.engine._esd_summary import FIGURES, Outlook, summarize
from advcli.errors import UsageError
from advcli.figures.esd_picture import esd_picture
from advcli.figures.film_files import require
from advcli.images.writing import write_atomically
from advcli.runs.command import Case, Drawing, Item, Known, Prepared, Product, RunConfig
from advcli.runs.grid import case_id, numbered
from advcli.runs.holding import looks
from advcli.runs.life import run
from advcli.spectra.pool import Analyzed, Pool, Request
from advcli.spectra.spectrum import LayerSpectrum
from advcli.spectra.store import load

SPECTRA, LOG = "spectra", "weightwatcher.log"
_FEW = 128  # results, up to which each gets a picture
Todo = Iterator[tuple[Item, Sequence[Case]]]


def esd(config: RunConfig, what: "EsdConfig") -> Report:
    """Analyze the weights of models or checkpoints.

    Args:
        config: of the run.
        what: is analyzed.

    Returns:
        The report of the run in ``config.out``; records are ``EsdRecord``, one per checkpoint and layer.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, EsdCommand(what))


def training_finished(folder: Path) -> bool:
    """Say whether the training in a folder has ended; one that leaves no report never does.

    Args:
        folder: of a run of ``advcli train``.
    """
    try:
        report = json.loads((folder / "report.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and report.get("finished") is not None


@dataclass(frozen=True)
class EsdConfig:
    """What is analyzed, and what is drawn.

    Args:
        models: one model, weights file or folder of checkpoints; two models; or several files of one training.
        weights: of the models that are named: a torchvision enum's, ``none`` for random ones, a file for own code.
        trust: whether code inside files may run.
        traps: look for correlation traps, in layers of 100 eigenvalues and more; 15 times dearer.
        jobs: checkpoints analyzed at once.
        films: formats of the films of a course; empty for none.
        pictures: draw every layer; none where few results make it worth it.
    """

    models: tuple[str, ...]
    weights: str | None = None
    trust: bool = False
    traps: bool = False
    jobs: int = 1
    films: tuple[str, ...] = field(default=("webp",))
    pictures: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            UsageError: nothing is named, one thing twice, or a film has no such format.
        """
        if not self.models:
            raise UsageError("there is nothing to analyze", "give a model, a weights file or a folder of checkpoints")
        twice = next((name for place, name in enumerate(self.models) if name in self.models[:place]), None)
        if twice is not None:
            raise UsageError(f"{twice} is given twice", "leave one out")
        for name in self.films:
            require(name)


@dataclass(frozen=True)
class EsdCommand:
    """Describes an esd run, whose items are checkpoints and whose cases are layers; see ``Command``.

    Args:
        config: what is analyzed.
    """

    config: EsdConfig

    name: ClassVar[str] = "esd"
    record: ClassVar[type[Record]] = EsdRecord
    noun: ClassVar[tuple[str, str]] = ("checkpoint", "checkpoints")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Find the checkpoints and list their layers."""
        del before
        found = find_checkpoints(self.config.models, self.config.weights, trust=self.config.trust)
        cases = numbered(
            [Case(case_id([name]), {"name": name}, (place,), name) for place, name in enumerate(found.layers)]
        )
        cases = cases or [Case("none", {"name": None})]  # every checkpoint is broken: each says so
        worker = Worker(self.config, config, found, len(found.listed) * len(cases))
        outlook = Outlook(found, config.out, worker.request, self.config.films)
        return Prepared(
            items=[Item(one.name, one.source, one.file, one) for one in found.listed],
            cases=cases,
            work=worker.work,
            summarize=partial(summarize, outlook),
            columns=[name for name in EsdRecord.model_fields if name not in ("files", "digests")],
            axes=("name",),
            settings={
                "kind": found.kind,
                "traps": self.config.traps,
                "weightwatcher": version("weightwatcher"),
                "fingerprints": {one.name: one.fingerprint for one in found.listed if one.fingerprint},
            },
            environment={"jobs": self.config.jobs},
        )


@dataclass(frozen=True)
class Worker:
    """Analyzes checkpoints in processes of their own.

    Args:
        config: what is analyzed.
        run: of the run.
        found: the checkpoints.
        results: of the whole run.
    """

    config: EsdConfig
    run: RunConfig
    found: Checkpoints
    results: int

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Analyze what is left; a checkpoint that cannot be read or analyzed is an error record."""
        del known
        logs: dict[str, str] = {}
        with Pool(self.config.jobs) as pool, tempfile.TemporaryDirectory(prefix="advcli-esd-") as folder:
            left = list(todo)
            for item, _ in left:
                if item.payload.error:
                    yield self._failed(item, item.payload.error)
            asked = ((one, self._asked(one[0].payload, Path(folder))) for one in left if not one[0].payload.error)
            try:
                for (item, cases), answer in pool.analyze(asked):
                    logs[item.identity] = answer.log
                    yield from self._products(item, cases, answer)
            finally:
                self._write_log(logs)

    @property
    def request(self) -> Request:
        """What is asked of every checkpoint."""
        first = self.found.first
        return Request(
            path="",
            folder=str(self.run.out / SPECTRA),
            trust=self.config.trust,
            first=str(first.file) if first and first.file else None,
            first_sha256=sha256_of(first.file) if first else None,
            seed=self.run.seed,
            traps=self.config.traps,
        )

    def _asked(self, one: Checkpoint, folder: Path) -> Request:
        """Ask for one checkpoint; a model by name is written to a file for it."""
        path = one.file
        if path is None and one.request is not None:
            path = folder / f"{len(list(folder.iterdir()))}.pt"
            torch.save(state_of(one.request), path)
        return Request(**{**vars(self.request), "path": str(path)})

    def _products(self, item: Item, cases: Sequence[Case], answer: Analyzed) -> Iterator[Product]:
        stat = looks(item.file) if item.file else None
        analysis = load(answer.stored) if answer.stored else None
        if analysis is None:
            yield self._failed(item, answer.error or "its analysis cannot be read back")
            return
        about: dict[str, object] = {"item": item.identity, "source": item.source, "fingerprint": analysis.fingerprint}
        about |= {"sha256": sha256_of(item.file), "bytes": stat[0] if stat else None, "epoch": item.payload.epoch}
        spectra = {spectrum.layer["name"]: spectrum for spectrum in analysis.layers}
        parameters = {(row.layer, row.kind): row for row in analysis.parameters}
        for case in cases:
            spectrum = spectra.get(case.payload)
            if spectrum is None:
                yield Product(item, missing_record(about, case), stat=stat)
                continue
            record = esd_record(about, case, spectrum, parameters)
            yield Product(item, record, self._pictures(record, case, spectrum), stat)

    def _pictures(self, record: EsdRecord, case: Case, spectrum: LayerSpectrum) -> dict[str, tuple[str, Drawing]]:
        wanted = self.config.pictures if self.config.pictures is not None else self.results <= _FEW
        if not wanted or not len(spectrum.eigenvalues):
            return {}
        draw = partial(esd_picture, record, spectrum.eigenvalues, spectrum.shuffled)
        return {"esd": (f"{case.id}.esd.png", draw)}

    def _failed(self, item: Item, error: str) -> Product:
        stat = looks(item.file) if item.file else None
        record = ErrorRecord(
            item=item.identity,
            path=item.source,
            source=item.source,
            sha256=sha256_of(item.file),
            bytes=stat[0] if stat else None,
            error=error,
        )
        return Product(item, record, stat=stat)

    def _write_log(self, logs: Mapping[str, str]) -> None:
        """Keep what the library printed, checkpoint by checkpoint in the order of the listing."""
        told = [f"== {one.name}\n{logs[one.name]}" for one in self.found.listed if logs.get(one.name)]
        if told:
            write_atomically(self.run.out / LOG, "\n".join(told).encode())
