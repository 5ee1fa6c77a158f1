"""Noise-search: how often pure noise gets a confident answer, and how far it is to noise that gets any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import pandas as pd

from advcli.core.records import NoiseRecord, Record
from advcli.core.report import ModelReport, Report
from advcli.engine._calibrating import Calibration
from advcli.engine._noise_items import BLOCK, Block, Climb
from advcli.engine._noise_results import NoiseResults
from advcli.engine._noise_searching import NoiseSearching
from advcli.errors import UsageError
from advcli.figures.noise_charts import noise_charts
from advcli.figures.noise_sheets import Kept, confident_sheets
from advcli.images.noise import KINDS
from advcli.images.sources import Source
from advcli.models.classifier import Classifier
from advcli.models.devices import pick_device
from advcli.models.loading import ModelRequest
from advcli.reports.noise_figures import COLUMNS, FIGURES, summarize_noise
from advcli.runs.classifiers import ClassifierRequest, classifier_for, first_name, folder_classes, model_names
from advcli.runs.command import Case, Item, Prepared, RunConfig, Summary
from advcli.runs.describe import model_report
from advcli.runs.grid import case_id
from advcli.runs.life import run
from advcli.runs.preflight import inspect

__all__ = ["NoiseSearchCommand", "NoiseSearchConfig", "noise_search"]

AXES = ("model", "noise")


def noise_search(config: RunConfig, what: "NoiseSearchConfig") -> Report:
    """Show every model pictures of pure noise.

    Args:
        config: of the run.
        what: is shown to which models.

    Returns:
        The report of the run in ``config.out``; records are ``NoiseRecord``, one per block of attempts and case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, NoiseSearchCommand(what))


@dataclass(frozen=True)
class NoiseSearchConfig:
    """What is shown to which models, and what counts as a hit.

    Args:
        models: the networks; those of one input size see the very same pictures.
        attempts: pictures of every kind of noise; a later call may ask for more.
        threshold: softmax probability from which an answer is a hit, in (0, 1).
        noise: kinds of noise, of ``images.noise.KINDS``.
        optimize: pictures for every class that are made from noise by climbing.
        keep: pictures of each block of attempts that are saved, the most confident ones.
        calibrate: labelled pictures that a temperature is fitted to; empty for none.
    """

    models: tuple[ModelRequest, ...] = field(default_factory=lambda: (ModelRequest(),))
    attempts: int = 10_000
    threshold: float = 0.9
    noise: tuple[str, ...] = ("uniform",)
    optimize: int = 0
    keep: int = 4
    calibrate: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            UsageError: a threshold outside (0, 1), an unknown kind of noise, or nothing to do.
        """
        if not 0 < self.threshold < 1:
            raise UsageError(f"--threshold {self.threshold:g} is not between 0 and 1", "it is a probability, as 0.9")
        for kind in self.noise:
            if kind not in KINDS:
                raise UsageError(f"--noise {kind!r} is not known", f"use {', '.join(KINDS)}")
        if self.attempts < 1 or self.optimize < 0 or self.keep < 0 or not self.noise or not self.models:
            raise UsageError("there is nothing to search", "ask for one attempt at least, of one kind of noise")


@dataclass(frozen=True)
class NoiseSearchCommand:
    """Describes a noise-search run, whose items are blocks of attempts; see ``Command``.

    Args:
        config: what is shown to which models.
    """

    config: NoiseSearchConfig

    name: ClassVar[str] = "noise-search"
    record: ClassVar[type[Record]] = NoiseRecord
    noun: ClassVar[tuple[str, str]] = ("block", "blocks")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models and lay out the grid."""
        classifiers = [classifier_for(request) for request in self._requests(config, before)]
        calibration = Calibration.of(classifiers, self.config.calibrate)
        results = NoiseResults(classifiers, self.config.threshold, calibration)
        searching = NoiseSearching(config, results, self.config.keep, self.config.optimize)
        models = [model_report(classifier) for classifier in classifiers]
        kept = [one for one in (before.models if before else ()) if one.name not in {model.name for model in models}]
        return Prepared(
            items=self._items(classifiers),
            cases=self._cases(classifiers, first_name(classifiers, before)),
            work=searching.work,
            summarize=partial(self._summarize, config, [*models, *kept]),
            columns=COLUMNS,
            axes=AXES,
            settings={
                "threshold": self.config.threshold,
                "keep": self.config.keep,
                "calibrated_on": calibration.digest if calibration else None,
            },
            models=models,
            preflight=[
                *(text for classifier in classifiers for text in inspect(classifier)),
                *(calibration.doubts if calibration else ()),
            ],
            environment={"batch_size": searching.batch_size},
            block=classifiers[0].block,
        )

    def _requests(self, config: RunConfig, before: Report | None) -> list[ClassifierRequest]:
        device = str(pick_device(config.device))
        block = config.block or (before.block if before else None)
        classes = folder_classes(self.config.calibrate)
        return [
            ClassifierRequest(model, name, device, config.precision, block, self.config.attempts, classes)
            for model, name in zip(self.config.models, model_names(self.config.models), strict=True)
        ]

    def _items(self, classifiers: Sequence[Classifier]) -> list[Item]:
        """List the blocks of attempts, and one item for every picture that is climbed to."""
        attempts = self.config.attempts
        blocks = [Block(first, min(BLOCK, attempts - first)) for first in range(0, attempts, BLOCK)]
        classes = max(len(classifier.card.classes) for classifier in classifiers)
        climbs = [Climb(target, start) for target in range(classes) for start in range(self.config.optimize)]
        return [
            *(Item(one.identity, payload=one) for one in blocks),
            *(Item(one.identity, payload=one) for one in climbs),
        ]

    def _cases(self, classifiers: Sequence[Classifier], first: str) -> list[Case]:
        return [
            Case(
                case_id([kind, None if (name := classifier.card.name) == first else name]),
                {"model": name, "noise": kind},
                (place, list(KINDS).index(kind)),
                (place, kind),
            )
            for place, classifier in enumerate(classifiers)
            for kind in self.config.noise
        ]

    def _summarize(
        self,
        config: RunConfig,
        models: Sequence[ModelReport],
        frame: pd.DataFrame,
        cases: Mapping[str, Mapping[str, object]],
    ) -> Summary:
        """Turn the records into figures, charts and contact sheets."""
        sizes = {model.name: model.size for model in models}
        figures = summarize_noise(frame, cases, sizes, self.config.threshold)
        charts = noise_charts(figures.probabilities, figures.classes, self.config.threshold)
        sheets = {f"most-confident-{case}": [kept_of(row) for row in rows] for case, rows in figures.kept.items()}
        sheets |= {f"fooling-{case}": [kept_of(row) for row in best(rows)] for case, rows in figures.fooling.items()}
        charts |= confident_sheets(sheets, config.out)
        return Summary(figures.values, figures.tables, charts)


def kept_of(row: Mapping[str, Any]) -> Kept:
    """Turn what a record keeps into what a contact sheet shows."""
    title = f"made for {row['sought']}" if row["sought"] else f"attempt {row['attempt']:,}"
    return Kept(title, row["prediction"], row["probability"], row["hit"], row["file"])


def best(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Take the surest picture of each class that was sought, in the order of their names."""
    first: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        first.setdefault(row["sought"], row)
    return [first[name] for name in sorted(first)]
