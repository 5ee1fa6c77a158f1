"""Explain: what the classifier looks at, by any number of methods."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import torch

from advcli.core.records import MapRecord, Record
from advcli.core.report import Report
from advcli.engine._explaining import (
    AXES,
    ExplainConfig,
    Explained,
    Groups,
    explain_cases,
    explain_images,
    explained_class,
    layers_of,
)
from advcli.figures.map_pictures import map_pictures
from advcli.figures.overlays import Photo
from advcli.images.writing import to_bytes
from advcli.metrics.regions import Box, top_box
from advcli.models.classifier import Classifier
from advcli.reports.map_figures import COLUMNS, FIGURES, summarize_maps
from advcli.runs.classifiers import classifier_for, default_batch_size, first_name, requests_for
from advcli.runs.command import Case, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.describe import model_report
from advcli.runs.images import Image, ImageConfig, Reader, Todo, Unusable, items_of, look_at, read_ahead
from advcli.runs.life import run
from advcli.runs.preflight import inspect

__all__ = ["ExplainCommand", "ExplainConfig", "explain"]


def explain(config: RunConfig, images: ImageConfig, what: ExplainConfig) -> Report:
    """Explain every image under every case.

    Args:
        config: of the run.
        images: and models.
        what: is explained.

    Returns:
        The report of the run in ``config.out``; records are ``MapRecord``, one per image and case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, ExplainCommand(images, what))


@dataclass(frozen=True)
class ExplainCommand:
    """Describes an explain run; see ``Command``.

    Args:
        images: and models.
        config: what is explained.
    """

    images: ImageConfig
    config: ExplainConfig

    name: ClassVar[str] = "explain"
    record: ClassVar[type[Record]] = MapRecord
    noun: ClassVar[tuple[str, str]] = ("image", "images")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models, find the layers and lay out the grid."""
        requests = requests_for(self.images.models, self.images.sources, config, before)
        classifiers = [classifier_for(request) for request in requests]
        cases, skipped = explain_cases(self.config, classifiers, first_name(classifiers, before))
        for case in cases:
            if case.payload[1].method.asks_for("layer"):
                layers_of(classifiers[case.payload[0]], self.config.layer)
        items = items_of(self.images.sources)
        explaining = Explaining(self, config, classifiers, self.images.draws_panels(len(items) * len(cases)))
        return Prepared(
            items=items,
            cases=cases,
            work=explaining.work,
            summarize=summarize,
            columns=COLUMNS,
            axes=AXES,
            settings={**self.config.settings, **self.images.settings},
            models=[model_report(classifier) for classifier in classifiers],
            skipped=skipped,
            preflight=[text for classifier in classifiers for text in inspect(classifier)],
            environment={"batch_size": explaining.batch_size},
            block=classifiers[0].block,
        )


@dataclass(frozen=True)
class Explaining:
    """Explains images in groups.

    Args:
        command: what is asked.
        run: of the run.
        classifiers: of the run.
        panels: draw a panel for every result.
    """

    command: ExplainCommand
    run: RunConfig
    classifiers: Sequence[Classifier]
    panels: bool

    @property
    def batch_size(self) -> int:
        """Images that are worked on together."""
        sizes = [default_batch_size(one.card.preprocessing.size, one.device) for one in self.classifiers]
        return self.run.batch_size or min(sizes)

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Explain the images that have cases left."""
        del known
        read = read_ahead(todo, Reader.of(self.classifiers, self.command.images.labels, whole=True), self.batch_size)
        usable: list[Product] = []

        def images() -> Iterator[Image]:
            for one in read:
                if isinstance(one, Unusable):
                    usable.append(one.product())
                else:
                    yield one

        for group in Groups(4 * self.batch_size).of(images()):
            yield from self._explained(group)
            yield from usable
            usable.clear()
        yield from usable

    def _explained(self, group: Sequence[Image]) -> Iterator[Product]:
        for place, classifier in enumerate(self.classifiers):
            alike: dict[tuple[str, ...], list[Image]] = {}
            for image in group:
                mine = tuple(case.id for case in image.cases if case.payload[0] == place)
                if mine:
                    alike.setdefault(mine, []).append(image)
            for images in alike.values():
                cases = [case for case in images[0].cases if case.payload[0] == place]
                for one in self._by_model(classifier, place, images, cases):
                    yield self._product(one)

    def _by_model(
        self, classifier: Classifier, place: int, images: Sequence[Image], cases: Sequence[Case]
    ) -> Iterator[Explained]:
        self.run.listener.phase(cases[0].id if len(cases) == 1 else f"{len(cases)} cases")
        clean = look_at(classifier, images, place)
        targets = [[explained_class(case.payload[1], one) for one in clean] for case in cases]
        found = explain_images(
            clean,
            torch.stack([one.pixels for one in clean]),
            cases,
            targets,
            layer=self.command.config.layer,
            seed=self.run.seed,
            batch_size=self.batch_size,
        )
        for mine in found:
            yield from mine

    def _product(self, one: Explained) -> Product:
        clean, case = one.clean, one.case
        photo = self._photo(one)
        box = top_box(one.values)
        record = MapRecord(
            **clean.facts,
            **{name: value for name, value in case.axes.items() if name not in clean.facts},
            **one.facts,
            case=case.id,
            box_top10=None if box is None else in_photo(box, photo, one.values.shape),
        )
        drawings = map_pictures(
            to_bytes(clean.pixels), one.values, record, photo=photo, panel=self.panels, array=self.command.config.arrays
        )
        endings = {"map": f"{case.id}.png", "npy": f"{case.id}.npy"}
        pictures = {kind: (endings.get(kind, f"{case.id}.{kind}.png"), draw) for kind, draw in drawings.items()}
        pictures.pop("original")
        if not clean.image.is_input_of(clean.classifier.card):
            pictures["original"] = (clean.original_ending, drawings["original"])
        return Product(clean.image.item, record, pictures, clean.image.stat)

    def _photo(self, one: Explained) -> Photo:
        picture = one.clean.image.picture
        how = one.clean.classifier.card.preprocessing
        assert picture is not None  # the reader keeps whole pictures for this command
        return Photo.cropped(picture, how.size, how.resize)


def in_photo(box: Box, photo: Photo, shape: tuple[int, ...]) -> Box:
    """Turn a box in pixels of a map (H, W) into pixels of the photograph, rounded outward."""
    left, top, right, bottom = photo.box
    wide, high = (right - left) / shape[1], (bottom - top) / shape[0]
    return (
        math.floor(left + box[0] * wide),
        math.floor(top + box[1] * high),
        math.ceil(left + box[2] * wide),
        math.ceil(top + box[3] * high),
    )


def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
    """Summarize map records: accuracy of the models, and for each case how many maps are blank, and its figures."""
    figures = summarize_maps(frame, cases)
    return Summary(figures.values, figures.tables)
