"""Explain: what the classifier looks at, by any number of methods."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch

from advcli.attributions._run import kept_in_fp32
from advcli.core.records import MapRecord, Record
from advcli.core.report import Report
from advcli.engine._explaining import AXES, ExplainConfig, explain_cases, explained_class
from advcli.engine._grading import Grader, Grades
from advcli.engine._groups import Groups, alike
from advcli.engine._map_store import MapStore
from advcli.engine._maps import Explained, explain_images, require_layers
from advcli.engine._method_sheet import sheet_of
from advcli.figures.colors import limit_of
from advcli.figures.enlarging import legible
from advcli.figures.grade_charts import grade_charts
from advcli.figures.map_pictures import map_pictures
from advcli.figures.overlays import Photo
from advcli.images.writing import to_bytes
from advcli.metrics.regions import Box, top_box, top_mask
from advcli.models.classifier import Classifier
from advcli.reports.map_figures import COLUMNS, FIGURES, GRADES, POINTING, summarize_maps
from advcli.runs.command import Case, Item, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.images import Clean, ImageConfig, Reader, Todo, Unusable, look_at, read_ahead
from advcli.runs.life import run
from advcli.runs.loaded import Loaded
from advcli.runs.pictures import Pictures

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

    @property
    def figures(self) -> tuple[str, ...]:
        """What a gate can ask for."""
        config = self.config
        return (*FIGURES, *(GRADES if config.grade else ()), *(POINTING if config.boxes is not None else ()))

    @property
    def optional_figures(self) -> dict[str, str]:
        """What a gate can ask for with another option, and that option."""
        return dict.fromkeys(GRADES, "--grade") | dict.fromkeys(POINTING, "--grade --boxes FILE.csv")

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models, find the layers and lay out the grid."""
        loaded = Loaded.of(self.images, config, before)
        cases, skipped = explain_cases(self.config, loaded.classifiers, loaded.first)
        require_layers(cases, loaded.classifiers, self.config.layer)
        drawn = self.images.pictures(len(loaded.items) * len(cases))
        everything = [(item, cases) for item in loaded.items]
        explaining = Explaining(self, config, loaded.classifiers, loaded.batch_size, drawn, everything)
        return Prepared(
            **loaded.facts(kept_in_fp32(self.config.methods, config.precision)),
            cases=cases,
            work=explaining.work,
            summarize=partial(summarize, out=config.out),
            columns=COLUMNS,
            axes=AXES,
            settings={**self.config.settings, **self.images.settings},
            skipped=skipped,
            seconds=explaining.seconds,
        )


@dataclass(frozen=True)
class Explaining:
    """Explains images in groups.

    Args:
        command: what is asked.
        run: of the run.
        classifiers: of the run.
        batch_size: images, original or changed, that are worked on together.
        drawn: what is drawn for every result.
        everything: all items of the run with all their cases, for a scale that is theirs.
        seconds: receives the time that the maps of each case took for an image, where grades are asked for.
    """

    command: ExplainCommand
    run: RunConfig
    classifiers: Sequence[Classifier]
    batch_size: int
    drawn: Pictures
    everything: Sequence[tuple[Item, Sequence[Case]]]
    seconds: dict[str, float] = field(default_factory=dict)

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Explain the images that have cases left."""
        del known
        with closing(MapStore(self.run.out)) as store:
            limits = self._limits(store) if self.command.config.scale == "run" else {}
            for found in self._each(todo, store):
                if isinstance(found, Unusable):
                    yield found.product()
                else:
                    yield from self._products(*found, limits)

    def _each(self, todo: Todo, store: MapStore) -> Iterator[Unusable | tuple[list[Case], list[list[Explained]]]]:
        """Explain images in groups: cases, and for each image of the group one result per case."""
        read = read_ahead(todo, Reader.of(self.classifiers, self.command.images.labels, whole=True), self.batch_size)
        for group in Groups(4 * self.batch_size).among(read):
            if isinstance(group, Unusable):
                yield group
                continue
            for place, classifier in enumerate(self.classifiers):
                for images, cases in alike(group, place):
                    yield cases, self._explained(look_at(classifier, images, place), cases, store)

    def _limits(self, store: MapStore) -> dict[str, float]:
        """Find the end of each case's scale, the largest of all its images' own, and keep the maps."""
        limits: dict[str, float] = {}
        for found in self._each(iter(self.everything), store):
            for one in () if isinstance(found, Unusable) else chain.from_iterable(found[1]):
                store.keep(one)
                limits[one.case.id] = max(limits.get(one.case.id, 0.0), limit_of(one.values))
        return limits

    def _explained(self, clean: Sequence[Clean], cases: Sequence[Case], store: MapStore) -> list[list[Explained]]:
        kept = [[found for case in cases if (found := store.find(one, case))] for one in clean]
        if all(len(row) == len(cases) for row in kept):
            return kept
        self.run.listener.phase(cases[0].id if len(cases) == 1 else f"{len(cases)} cases")
        if not self.command.config.grade:
            return self._maps(clean, cases)
        columns = []
        for case in cases:  # one by one, so that each has a time of its own
            began = time.perf_counter()
            columns.append([mine[0] for mine in self._maps(clean, [case])])
            self._spent[case.id].append((time.perf_counter() - began, len(clean)))
            seconds, count = map(sum, zip(*self._spent[case.id], strict=True))
            self.seconds[case.id] = seconds / count
        return [list(row) for row in zip(*columns, strict=True)]

    @cached_property
    def _spent(self) -> defaultdict[str, list[tuple[float, int]]]:
        return defaultdict(list)

    def _maps(self, clean: Sequence[Clean], cases: Sequence[Case]) -> list[list[Explained]]:
        return explain_images(
            clean,
            torch.stack([one.pixels for one in clean]),
            cases,
            [[explained_class(case.payload[1], one) for one in clean] for case in cases],
            layer=self.command.config.layer,
            seed=self.run.seed,
            batch_size=self.batch_size,
        )

    def _products(
        self, cases: Sequence[Case], found: Sequence[Sequence[Explained]], limits: Mapping[str, float]
    ) -> Iterator[Product]:
        if not self.command.config.grade:
            grades = [[Grades() for _ in cases] for _ in found]
        else:
            self.run.listener.phase("grading")
            grader = Grader(self.run.seed, self.batch_size, self.command.config.layer, self.command.config.boxes)
            grades = grader.grade(cases, found)
        for mine, told in zip(found, grades, strict=True):
            for one, grade in zip(mine, told, strict=True):
                yield self._product(one, grade, limits.get(one.case.id))

    def _product(self, one: Explained, grade: Grades, limit: float | None) -> Product:
        clean, case, config = one.clean, one.case, self.command.config
        photo = self._photo(one)
        box, box_top = (None if share is None else top_box(one.values, share) for share in (0.1, config.top))
        record = MapRecord(
            **clean.facts,
            **{name: value for name, value in case.axes.items() if name not in clean.facts},
            **one.facts,
            case=case.id,
            box_top10=None if box is None else in_photo(box, photo, one.values.shape),
            box_top=None if box_top is None else in_photo(box_top, photo, one.values.shape),
            grade=grade.figures,
            curves=grade.curves,
        )
        drawings = map_pictures(
            to_bytes(clean.pixels),
            one.values,
            record,
            photo=photo,
            panel=self.drawn.panels,
            array=config.arrays,
            limit=limit,
            outline=None if box_top is None or config.top is None else top_mask(one.values, config.top),
        )
        endings = {"map": f"{case.id}.png", "npy": f"{case.id}.npy"}
        drawn = legible(drawings, self.drawn.scale).items()
        pictures = {kind: (endings.get(kind, f"{case.id}.{kind}.png"), draw) for kind, draw in drawn}
        pictures.pop("original")
        if not clean.image.is_input_of(clean.classifier.card):
            pictures["original"] = (clean.original_ending, drawings["original"])
        return Product(clean.image.item, record, pictures, clean.image.stat)

    def _photo(self, one: Explained) -> Photo:
        picture = one.clean.image.picture
        how = one.clean.classifier.card.preprocessing
        assert picture is not None  # the reader keeps whole pictures for this command
        return Photo.cropped(picture, how.size, how.resize, self.drawn.scale)


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


def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]], out: Path) -> Summary:
    """Summarize map records: accuracy of the models, and for each case how many maps are blank, and its figures."""
    figures = summarize_maps(frame, cases)
    charts = {**grade_charts(figures.series), **sheet_of(out, frame, list(cases))}
    return Summary(figures.values, figures.tables, charts)
