"""Mask: what the classifier still says when it sees only a part of the picture, the most important or a random one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from advcli import masks
from advcli.core.choices import Fill, Order
from advcli.core.precision import wide
from advcli.core.records import MaskRecord, Record
from advcli.core.report import Report
from advcli.engine._explaining import (
    ExplainConfig,
    Explained,
    Groups,
    explain_cases,
    explain_images,
    explained_class,
    layers_of,
)
from advcli.errors import UsageError
from advcli.figures.mask_pictures import mask_pictures
from advcli.figures.share_chart import share_chart, share_curves
from advcli.images.writing import to_bytes
from advcli.models.classifier import Classifier
from advcli.reports.mask_figures import COLUMNS, FIGURES, summarize_masks
from advcli.runs.classifiers import classifier_for, default_batch_size, first_name, requests_for
from advcli.runs.command import Case, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.describe import model_report
from advcli.runs.grid import case_id, numbered
from advcli.runs.images import Clean, Image, ImageConfig, Reader, Todo, Unusable, items_of, look_at, read_ahead
from advcli.runs.life import run
from advcli.runs.preflight import inspect

AXES = ("model", "method", "settings", "order", "fill", "keep", "remove")
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)
_Key = tuple[str | None, str, float | None, float | None]


def mask(config: RunConfig, images: ImageConfig, what: "MaskConfig") -> Report:
    """Mask every image under every case, and look again.

    Args:
        config: of the run.
        images: and models.
        what: is masked, and how.

    Returns:
        The report of the run in ``config.out``; records are ``MaskRecord``, one per image and case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, MaskCommand(images, what))


@dataclass(frozen=True)
class MaskConfig:
    """How pixels are ranked, and what becomes of them.

    Args:
        explain: the explanations whose maps rank the pixels; one score and one class.
        orders: ``map``, the most important first, and ``random``, the control.
        fills: what stands in the place of pixels that are not kept.
        keep: shares of the pixels that are kept, the first in the order.
        remove: shares of the pixels that are replaced, the first in the order.
        absolute: rank by the size of the evidence, that for and that against alike.

    Raises:
        UsageError: a share is not in (0, 1), or there is none.
    """

    explain: ExplainConfig
    orders: tuple[Order, ...] = ("map", "random")
    fills: tuple[Fill, ...] = ("zero",)
    keep: tuple[float, ...] = SHARES
    remove: tuple[float, ...] = ()
    absolute: bool = False

    def __post_init__(self) -> None:
        """Refuse shares that keep all or nothing."""
        for option, shares in (("--keep", self.keep), ("--remove", self.remove)):
            for share in shares:
                if not 0 < share < 1:
                    meant = f"{share / 100:g}" if 1 < share < 100 else "0.5"
                    raise UsageError(f"{option} {share:g} is no share between 0 and 1", f"write {option} {meant}")
        if not self.keep and not self.remove:
            raise UsageError("no share of the pixels is asked for", "give --keep or --remove")

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results and is the same for all cases, for the report."""
        said = {"score": self.explain.scores[0], "class": self.explain.classes[0], "layer": self.explain.layer}
        return {**said, "absolute": self.absolute}

    def cells(self, explanation: Case) -> "list[MaskCell]":
        """List the cells of the grid for one explanation."""
        forms = [(share, None) for share in self.keep] + [(None, share) for share in self.remove]
        return [
            MaskCell(explanation, order, fill, keep, remove)
            for order in self.orders
            for fill in self.fills
            for keep, remove in forms
        ]


@dataclass(frozen=True)
class MaskCell:
    """One cell of the grid of masks, on one model.

    Args:
        explanation: whose map ranks the pixels; its payload ends in an ``ExplainCell``.
        order: of the pixels.
        fill: of those that are not kept.
        keep: share that is kept, or none.
        remove: share that is replaced, or none.
    """

    explanation: Case
    order: Order
    fill: Fill
    keep: float | None
    remove: float | None

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        taken = {name: self.explanation.axes[name] for name in ("method", "settings")}
        return {**taken, "order": self.order, "fill": self.fill, "keep": self.keep, "remove": self.remove}

    @property
    def words(self) -> tuple[str, ...]:
        """Values that the id of the case is made of."""
        form, share = ("keep", self.keep) if self.keep is not None else ("remove", self.remove)
        return (self.explanation.payload[1].method.id, self.order, self.fill, f"{form}{share:g}")

    @property
    def key(self) -> _Key:
        """What decides the masked picture: cases of random order share theirs, whatever the method."""
        return (self.explanation.id if self.order == "map" else None, self.fill, self.keep, self.remove)

    def kept(self, rank: masks.Rank) -> np.ndarray:
        """Mark the pixels (H, W) that are kept."""
        if self.keep is not None:
            return np.asarray(rank < masks.count_of(self.keep, rank.size))
        return np.asarray(rank >= masks.count_of(self.remove or 0, rank.size))


@dataclass(frozen=True)
class MaskCommand:
    """Describes a mask run; see ``Command``.

    Args:
        images: and models.
        config: what is masked, and how.
    """

    images: ImageConfig
    config: MaskConfig

    name: ClassVar[str] = "mask"
    record: ClassVar[type[Record]] = MaskRecord
    noun: ClassVar[tuple[str, str]] = ("image", "images")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models, find the layers and lay out the grid."""
        requests = requests_for(self.images.models, self.images.sources, config, before)
        classifiers = [classifier_for(request) for request in requests]
        cases, skipped = self._cases(classifiers, first_name(classifiers, before))
        items = items_of(self.images.sources)
        masking = Masking(self, config, classifiers, self.images.draws_panels(len(items) * len(cases)))
        return Prepared(
            items=items,
            cases=cases,
            work=masking.work,
            summarize=summarize,
            columns=COLUMNS,
            axes=AXES,
            settings={**self.config.settings, **self.images.settings},
            models=[model_report(classifier) for classifier in classifiers],
            skipped=skipped,
            preflight=[text for classifier in classifiers for text in inspect(classifier)],
            environment={"batch_size": masking.batch_size},
            block=classifiers[0].block,
        )

    def _cases(self, classifiers: Sequence[Classifier], first: str) -> tuple[list[Case], list[str]]:
        explanations, skipped = explain_cases(self.config.explain, classifiers, first)
        cases = []
        for explanation in explanations:
            place, cell = explanation.payload
            model = classifiers[place].card.name
            if cell.method.asks_for("layer"):
                layers_of(classifiers[place], self.config.explain.layer)
            for order, one in enumerate(self.config.cells(explanation)):
                name = case_id([*one.words, None if model == first else model])
                cases.append(Case(name, {"model": model, **one.axes}, (*explanation.order, order), (place, one)))
        return numbered(cases), skipped


@dataclass(frozen=True)
class Masking:
    """Masks images in groups.

    Args:
        command: what is asked.
        run: of the run.
        classifiers: of the run.
        panels: draw the masked picture and a panel for every result.
    """

    command: MaskCommand
    run: RunConfig
    classifiers: Sequence[Classifier]
    panels: bool

    @property
    def batch_size(self) -> int:
        """Images, original or masked, that are worked on together."""
        sizes = [default_batch_size(one.card.preprocessing.size, one.device) for one in self.classifiers]
        return self.run.batch_size or min(sizes)

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Mask the images that have cases left."""
        del known
        read = read_ahead(todo, Reader.of(self.classifiers, self.command.images.labels), self.batch_size)
        unusable: list[Product] = []

        def images() -> Iterator[Image]:
            for one in read:
                if isinstance(one, Unusable):
                    unusable.append(one.product())
                else:
                    yield one

        for group in Groups(4 * self.batch_size).of(images()):
            for place, classifier in enumerate(self.classifiers):
                yield from self._by_model(classifier, place, group)
            yield from unusable
            unusable.clear()
        yield from unusable

    def _by_model(self, classifier: Classifier, place: int, group: Sequence[Image]) -> Iterator[Product]:
        alike: dict[tuple[str, ...], list[Image]] = {}
        for image in group:
            mine = tuple(case.id for case in image.cases if case.payload[0] == place)
            if mine:
                alike.setdefault(mine, []).append(image)
        for images in alike.values():
            cases = [case for case in images[0].cases if case.payload[0] == place]
            self.run.listener.phase(cases[0].id if len(cases) == 1 else f"{len(cases)} cases")
            clean = look_at(classifier, images, place)
            maps = self._maps(clean, cases)
            together = max(1, self.batch_size // len(cases))
            for start in range(0, len(clean), together):
                here = slice(start, start + together)
                yield from self._looked_at(clean[here], maps[here], cases)

    def _maps(self, clean: Sequence[Clean], cases: Sequence[Case]) -> list[dict[str, Explained]]:
        """Explain images, once for each explanation that ranks pixels: id of the explanation to what it gave."""
        cells: list[MaskCell] = [case.payload[1] for case in cases]
        wanted = {cell.explanation.id: cell.explanation for cell in cells if cell.order == "map"}
        if not wanted:
            return [{} for _ in clean]
        explanations = list(wanted.values())
        found = explain_images(
            clean,
            torch.stack([one.pixels for one in clean]),
            explanations,
            [[explained_class(explanation.payload[1], one) for one in clean] for explanation in explanations],
            layer=self.command.config.explain.layer,
            seed=self.run.seed,
            batch_size=self.batch_size,
        )
        return [{one.case.id: one for one in mine} for mine in found]

    def _looked_at(
        self, clean: Sequence[Clean], maps: Sequence[Mapping[str, Explained]], cases: Sequence[Case]
    ) -> Iterator[Product]:
        """Mask some images of one model under the same cases, and look at all of that at once."""
        masked = [
            Masked(one, mine, cases, self.run.seed, self.command.config.absolute)
            for one, mine in zip(clean, maps, strict=True)
        ]
        logits = clean[0].classifier.logits(torch.cat([one.pixels for one in masked]))
        for one, seen in zip(masked, logits.split([len(one.pictures) for one in masked]), strict=True):
            for case in cases:
                yield self._product(one, case, seen)

    def _product(self, one: "Masked", case: Case, logits: Tensor) -> Product:
        cell: MaskCell = case.payload[1]
        clean, map_ = one.clean, one.map_of(cell)
        after = logits[one.places[cell.key]]
        prediction = int(after.argmax())
        record = MaskRecord(
            **clean.facts,
            **{name: value for name, value in case.axes.items() if name not in clean.facts},
            case=case.id,
            flags=() if map_ is None else map_.flags,
            layer=None if map_ is None else map_.layer,
            share_kept=float(cell.kept(one.rank_of(cell)).mean()),
            prediction_after=clean.classes[prediction],
            probability_after=_probability(after, clean.prediction),
            probability_filled=_probability(logits[one.places[_filled(cell.fill)]], clean.prediction),
            top5_after=clean.saw(after)["top5"],
            flipped=prediction != clean.prediction,
        )
        if not self.panels:
            return Product(clean.image.item, record, stat=clean.image.stat)
        pixels = to_bytes(one.pictures[one.places[cell.key]])
        drawings = mask_pictures(to_bytes(clean.pixels), pixels, None if map_ is None else map_.values, record)
        pictures = {kind: (f"{case.id}.{kind}.png", draw) for kind, draw in drawings.items() if kind != "original"}
        if not clean.image.is_input_of(clean.classifier.card):
            pictures["original"] = (clean.original_ending, drawings["original"])
        return Product(clean.image.item, record, pictures, clean.image.stat)


@dataclass(frozen=True, eq=False)
class Masked:
    """One image under all its cases, masked but not yet looked at: each picture once, and one for each filling.

    Args:
        clean: the image under its model.
        maps: id of an explanation to what it gave.
        cases: to be done for it.
        seed: of the run.
        absolute: rank by the size of the evidence.
    """

    clean: Clean
    maps: Mapping[str, Explained]
    cases: Sequence[Case]
    seed: int
    absolute: bool

    @cached_property
    def places(self) -> dict[_Key, int]:
        """Where the picture of each key stands among ``pictures``."""
        cells: list[MaskCell] = [case.payload[1] for case in self.cases]
        keys = dict.fromkeys([cell.key for cell in cells] + [_filled(cell.fill) for cell in cells])
        return {key: place for place, key in enumerate(keys)}

    @cached_property
    def pictures(self) -> list[Tensor]:
        """The pictures (3, H, W), on the grid of eight bits."""
        cells: dict[_Key, MaskCell] = {case.payload[1].key: case.payload[1] for case in self.cases}
        sha256, pixels = self.clean.image.sha256, self.clean.pixels
        fills: list[Fill] = [cell.fill for cell in cells.values()]
        filled = {fill: masks.filling(fill, pixels, self.seed, sha256) for fill in dict.fromkeys(fills)}
        made = []
        for key in self.places:
            cell = cells.get(key)
            fill: Fill = key[1]  # type: ignore[assignment]
            kept = None if cell is None else cell.kept(self.rank_of(cell))
            made.append(filled[fill] if kept is None else masks.masked(pixels, filled[fill], kept))
        return made

    @property
    def pixels(self) -> Tensor:
        """The pictures as a batch (P, 3, H, W)."""
        return torch.stack(self.pictures)

    def map_of(self, cell: MaskCell) -> Explained | None:
        """Give the map that ranks the pixels of a case; none for the random order."""
        return self.maps[cell.explanation.id] if cell.order == "map" else None

    def rank_of(self, cell: MaskCell) -> masks.Rank:
        """Rank the pixels (H, W) for a case, once for each map."""
        return self._ranks[cell.explanation.id if cell.order == "map" else None]

    @cached_property
    def _ranks(self) -> dict[str | None, masks.Rank]:
        height, width = self.clean.pixels.shape[1:]
        ties = masks.ties(self.seed, self.clean.image.sha256, (height, width))
        values = {name: np.abs(one.values) if self.absolute else one.values for name, one in self.maps.items()}
        return {None: masks.ranking(None, ties)} | {name: masks.ranking(one, ties) for name, one in values.items()}


def _filled(fill: str) -> _Key:
    """Give the key of the picture of which nothing is kept."""
    return (None, fill, 0.0, None)


def _probability(logits: Tensor, place: int) -> float:
    """Softmax probability of one class, of one image's logits (K,)."""
    return float(wide(logits.cpu()).softmax(0)[place])


def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
    """Summarize mask records: what is still right against the share, and the areas under the curves."""
    figures = summarize_masks(frame, cases)
    rows: list[Mapping[str, object]] = list(figures.values["cases"])  # type: ignore[call-overload]
    charts = {name: share_chart(name, lines) for name, lines in share_curves(rows).items()}
    return Summary(figures.values, figures.tables, charts)
