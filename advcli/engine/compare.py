"""Compare: fool the classifier, and see what it looks at before and after."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import ClassVar

import pandas as pd
import torch

from advcli.core.choices import After
from advcli.core.records import AttackRecord, CompareRecord, Record, SimilarityRow
from advcli.core.report import Report
from advcli.engine._attacking import AXES, Attacked, AttackGrid, attack_cases, attack_remarks, nothing_to_do
from advcli.engine._explaining import ExplainConfig, explain_cases, explained_class
from advcli.engine._groups import Groups
from advcli.engine._maps import Explained, explain_images
from advcli.engine.attack import endings
from advcli.figures.compare_pictures import compare_pictures
from advcli.figures.run_charts import attack_charts
from advcli.images.writing import to_bytes
from advcli.metrics.similarity import similarity
from advcli.models.classifier import Classifier
from advcli.reports.attack_figures import FIGURES
from advcli.reports.compare_figures import COLUMNS, summarize_comparisons
from advcli.reports.tables import write_long_similarity
from advcli.runs.command import Case, Item, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.images import Clean, Image, ImageConfig, Reader, Todo, Unusable, read_ahead
from advcli.runs.ledger import Looks
from advcli.runs.life import run
from advcli.runs.loaded import Loaded
from advcli.search.config import AttackConfig
from advcli.search.flow import Job


def compare(
    config: RunConfig, images: ImageConfig, attack: AttackConfig, explain: ExplainConfig, *, after: After = "same"
) -> Report:
    """Attack every image, and explain it before and after.

    Args:
        config: of the run.
        images: and models.
        attack: what is attempted.
        explain: what is explained.
        after: the class that is explained on the adversarial picture: the ``same`` as on the clean one, so that only
            the picture changes, or the adversarial picture's ``own`` prediction.

    Returns:
        The report of the run in ``config.out``; records are ``CompareRecord``, one per image and attack case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, CompareCommand(images, attack, explain, after))


@dataclass(frozen=True)
class CompareCommand:
    """Describes a compare run; see ``Command``.

    Args:
        images: and models.
        attack: what is attempted.
        explain: what is explained.
        after: class explained on the adversarial picture.
    """

    images: ImageConfig
    attack: AttackConfig
    explain: ExplainConfig
    after: After = "same"

    name: ClassVar[str] = "compare"
    record: ClassVar[type[Record]] = CompareRecord
    noun: ClassVar[tuple[str, str]] = ("image", "images")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models, and lay out the attacks and the explanations."""
        loaded = Loaded.of(self.images, config, before)
        cases, skipped = attack_cases(self.attack, loaded.classifiers, loaded.first)
        explanations, left_out = explain_cases(self.explain, loaded.classifiers, loaded.first)
        panels = self.images.draws_panels(len(loaded.items) * len(cases))
        grid = AttackGrid(loaded.classifiers, cases, self.attack, config, loaded.batch_size)
        comparing = Comparing(self, grid, explanations, panels)
        settings = {**self.attack.settings, **self.explain.settings, **self.images.settings}
        return Prepared(
            **loaded.facts(attack_remarks(cases, loaded.classifiers)),
            cases=cases,
            work=comparing.work,
            summarize=partial(summarize, min_eps=self.attack.min_eps is not None),
            columns=COLUMNS,
            axes=AXES,
            settings={**settings, "explain": [case.id for case in explanations], "after": self.after},
            skipped=[*skipped, *left_out],
            exports={"similarity.parquet": write_long_similarity},
        )


@dataclass(frozen=True)
class Comparing:
    """Attacks images, and explains what comes out in groups.

    Args:
        command: what is asked.
        grid: of the attacks.
        explanations: cases of the explanations, of all models.
        panels: draw a panel for every result.
    """

    command: CompareCommand
    grid: AttackGrid
    explanations: Sequence[Case]
    panels: bool

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Attack and explain the images that have cases left."""
        reader = Reader.of(self.grid.classifiers, self.command.images.labels)
        read = read_ahead(todo, reader, self.grid.batch_size)
        jobs = chain.from_iterable(self._jobs(group, known) for group in self.grid.groups(read))
        finished = chain.from_iterable(self.grid.flow(jobs))
        clean_maps = CleanMaps(8 * self.grid.batch_size)
        for group in Groups(4 * self.grid.batch_size).of(finished):
            yield from (one for one in group if isinstance(one, Product))
            attacked = [one for one in group if isinstance(one, Attacked)]
            yield from (Product(_item(one), _record(one), stat=_stat(one)) for one in attacked if not _is_ok(one))
            for place, classifier in enumerate(self.grid.classifiers):
                mine = [one for one in attacked if _is_ok(one) and one.clean.classifier is classifier]
                if mine:
                    yield from self._compared(place, classifier, mine, clean_maps)

    def _jobs(self, group: Sequence[Image] | Unusable, known: Known) -> Iterator[Job[list[Product] | list[Attacked]]]:
        if isinstance(group, Unusable):
            yield nothing_to_do([group.product()])
            return
        for clean, cases in self.grid.cleaned(group):
            yield self.grid.job(clean, cases, known, lambda one: one)

    def _compared(
        self, place: int, classifier: Classifier, attacked: Sequence[Attacked], clean_maps: "CleanMaps"
    ) -> Iterator[Product]:
        cases = [case for case in self.explanations if case.payload[0] == place]
        before = clean_maps.of([one.clean for one in attacked], lambda clean: self._clean(clean, cases))
        pixels = torch.stack([one.saved for one in attacked])
        own = self._own_classes(classifier, attacked, pixels) if self.command.after == "own" else []
        targets = [
            [own[row] if own else maps[column].target for row, maps in enumerate(before)]
            for column in range(len(cases))
        ]
        after = self._explained([one.clean for one in attacked], pixels, cases, targets)
        for one, first, second in zip(attacked, before, after, strict=True):
            yield self._product(one, first, second)

    def _clean(self, clean: Sequence[Clean], cases: Sequence[Case]) -> list[list[Explained]]:
        targets = [[explained_class(case.payload[1], one) for one in clean] for case in cases]
        return self._explained(clean, torch.stack([one.pixels for one in clean]), cases, targets)

    def _explained(
        self, clean: Sequence[Clean], pixels: torch.Tensor, cases: Sequence[Case], targets: Sequence[Sequence[int]]
    ) -> list[list[Explained]]:
        return explain_images(
            clean,
            pixels,
            cases,
            targets,
            layer=self.command.explain.layer,
            seed=self.grid.run.seed,
            batch_size=self.grid.batch_size,
        )

    def _own_classes(self, classifier: Classifier, attacked: Sequence[Attacked], pixels: torch.Tensor) -> list[int]:
        if all(one.saved_logits is not None for one in attacked):
            return [int(one.saved_logits.argmax()) for one in attacked if one.saved_logits is not None]
        return [int(place) for place in classifier.logits(pixels).argmax(1)]

    def _product(self, one: Attacked, before: Sequence[Explained], after: Sequence[Explained]) -> Product:
        pairs = {first.case.id: (first, second) for first, second in zip(before, after, strict=True)}
        rows = [
            SimilarityRow(
                explanation=name,
                score=first.case.payload[1].score,
                after=self.command.after,
                metric=metric,
                value=value,
            )
            for name, (first, second) in pairs.items()
            for metric, value in similarity(first.values, second.values).items()
        ]
        record = _record(one).model_copy(
            update={
                "explained_before": one.clean.classes[before[0].target],
                "explained_after": one.clean.classes[after[0].target],
                "similarity": tuple(rows),
                "blank": tuple(name for name, (a, b) in pairs.items() if "blank" in (*a.flags, *b.flags)),
            }
        )
        maps = {name: (first.values, second.values) for name, (first, second) in pairs.items()}
        drawings = compare_pictures(to_bytes(one.clean.pixels), to_bytes(one.saved), maps, record, panel=self.panels)
        return Product(_item(one), record, endings(one.clean, one.case.id, drawings), _stat(one))


class CleanMaps:
    """Maps of the clean images of one run, made once for all attacks on an image."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._maps: OrderedDict[tuple[str, str], list[Explained]] = OrderedDict()

    def of(
        self, clean: Sequence[Clean], explain: Callable[[Sequence[Clean]], list[list[Explained]]]
    ) -> list[list[Explained]]:
        """Give the maps of some images under one model; those that are not known are made.

        Args:
            clean: the images; one may come several times.
            explain: makes the maps of different images.
        """
        missing = {_key(one): one for one in clean if _key(one) not in self._maps}
        if missing:
            made = explain(list(missing.values()))
            self._maps.update(zip(missing, made, strict=True))
        found = [self._maps[_key(one)] for one in clean]
        for one in clean:
            self._maps.move_to_end(_key(one))
        while len(self._maps) > self._most:
            self._maps.popitem(last=False)
        return found


def _key(clean: Clean) -> tuple[str, str]:
    return clean.image.item.identity, clean.classifier.card.name


def _item(one: Attacked) -> Item:
    return one.clean.image.item


def _stat(one: Attacked) -> Looks | None:
    return one.clean.image.stat


def _is_ok(one: Attacked) -> bool:
    return one.record.status == "ok"


def _record(one: Attacked) -> CompareRecord:
    return CompareRecord(**{name: getattr(one.record, name) for name in AttackRecord.model_fields})


def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]], *, min_eps: bool = False) -> Summary:
    """Summarize compare records: the attacks, and how alike the maps before and after are."""
    figures = summarize_comparisons(frame, cases, min_eps=min_eps)
    tables = figures.tables
    charts = attack_charts(tables["cases"], tables["labels"], figures.series, tables["similarity"])
    return Summary(figures.values, figures.tables, charts)
