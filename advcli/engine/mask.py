"""Mask: what the classifier still says when it sees only a part of the picture, the most important or a random one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from advcli.attributions._run import kept_in_fp32
from advcli.core.precision import wide
from advcli.core.records import MaskRecord, Record
from advcli.core.report import Report
from advcli.engine._explaining import explain_cases, explained_class
from advcli.engine._groups import Groups, alike
from advcli.engine._maps import Explained, explain_images, require_layers
from advcli.engine._masking import AXES, MaskCell, MaskConfig, Masked, filled_key
from advcli.figures.enlarging import legible
from advcli.figures.mask_pictures import mask_pictures
from advcli.figures.share_chart import share_chart, share_curves
from advcli.images.writing import to_bytes
from advcli.models.classifier import Classifier
from advcli.reports.mask_figures import COLUMNS, FIGURES, summarize_masks
from advcli.runs.command import Case, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.grid import case_id, numbered
from advcli.runs.images import Clean, Image, ImageConfig, Reader, Todo, Unusable, look_at, read_ahead
from advcli.runs.life import run
from advcli.runs.loaded import Loaded
from advcli.runs.pictures import Pictures

__all__ = ["MaskCommand", "MaskConfig", "mask"]


def mask(config: RunConfig, images: ImageConfig, what: MaskConfig) -> Report:
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
        loaded = Loaded.of(self.images, config, before)
        cases, skipped = self._cases(loaded.classifiers, loaded.first)
        drawn = self.images.pictures(len(loaded.items) * len(cases))
        masking = Masking(self, config, loaded.classifiers, loaded.batch_size, drawn)
        return Prepared(
            **loaded.facts(kept_in_fp32(self.config.explain.methods, config.precision)),
            cases=cases,
            work=masking.work,
            summarize=summarize,
            columns=COLUMNS,
            axes=AXES,
            settings={**self.config.settings, **self.images.settings},
            skipped=skipped,
        )

    def _cases(self, classifiers: Sequence[Classifier], first: str) -> tuple[list[Case], list[str]]:
        explanations, skipped = explain_cases(self.config.explain, classifiers, first)
        require_layers(explanations, classifiers, self.config.explain.layer)
        cases = []
        for explanation in explanations:
            place = explanation.payload[0]
            model = classifiers[place].card.name
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
        batch_size: images, original or changed, that are worked on together.
        drawn: what is drawn for every result; with panels the masked picture too.
    """

    command: MaskCommand
    run: RunConfig
    classifiers: Sequence[Classifier]
    batch_size: int
    drawn: Pictures

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Mask the images that have cases left."""
        del known
        read = read_ahead(todo, Reader.of(self.classifiers, self.command.images.labels), self.batch_size)
        for group in Groups(4 * self.batch_size).among(read):
            if isinstance(group, Unusable):
                yield group.product()
                continue
            for place, classifier in enumerate(self.classifiers):
                for images, cases in alike(group, place):
                    yield from self._masked(classifier, place, images, cases)

    def _masked(
        self, classifier: Classifier, place: int, images: Sequence[Image], cases: Sequence[Case]
    ) -> Iterator[Product]:
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
        for one, seen in zip(masked, torch.split(logits, [len(one.pictures) for one in masked]), strict=True):
            for case in cases:
                yield self._product(one, case, seen)

    def _product(self, one: Masked, case: Case, logits: Tensor) -> Product:
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
            probability_filled=_probability(logits[one.places[filled_key(cell.fill)]], clean.prediction),
            top5_after=clean.saw(after)["top5"],
            flipped=prediction != clean.prediction,
        )
        if not self.drawn.panels:
            return Product(clean.image.item, record, stat=clean.image.stat)
        pixels = to_bytes(one.pictures[one.places[cell.key]])
        drawings = mask_pictures(to_bytes(clean.pixels), pixels, None if map_ is None else map_.values, record)
        drawn = legible(drawings, self.drawn.scale).items()
        pictures = {kind: (f"{case.id}.{kind}.png", draw) for kind, draw in drawn if kind != "original"}
        if not clean.image.is_input_of(clean.classifier.card):
            pictures["original"] = (clean.original_ending, drawings["original"])
        return Product(clean.image.item, record, pictures, clean.image.stat)


def _probability(logits: Tensor, place: int) -> float:
    """Softmax probability of one class, of one image's logits (K,)."""
    exact = wide(logits.cpu()).numpy()
    shifted = np.exp(exact - exact.max())
    return float((shifted / shifted.sum())[place])


def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
    """Summarize mask records: what is still right against the share, and the areas under the curves."""
    figures = summarize_masks(frame, cases)
    rows: list[Mapping[str, object]] = list(figures.values["cases"])  # type: ignore[call-overload]
    charts = {name: share_chart(name, lines) for name, lines in share_curves(rows).items()}
    return Summary(figures.values, figures.tables, charts)
