"""Attack: change images as little as allowed until the classifier misreads them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import ClassVar

import pandas as pd

from advcli.core.records import AttackRecord, Record
from advcli.core.report import Report
from advcli.engine._attack_cases import AXES, attack_cases, attack_remarks
from advcli.engine._attacking import Attacked, AttackGrid, nothing_to_do
from advcli.engine._transferring import surrogate_of
from advcli.figures.attack_pictures import attack_pictures
from advcli.figures.enlarging import legible
from advcli.figures.run_charts import attack_charts
from advcli.images.writing import to_bytes
from advcli.reports.attack_figures import COLUMNS, FIGURES, summarize_attacks
from advcli.runs.command import WAITING, Drawing, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.images import Clean, Image, ImageConfig, Reader, Todo, Unusable, read_ahead
from advcli.runs.life import run
from advcli.runs.loaded import Loaded
from advcli.runs.pictures import Pictures
from advcli.search.config import AttackConfig
from advcli.search.flow import Job


def attack(config: RunConfig, images: ImageConfig, what: AttackConfig) -> Report:
    """Attack every image under every case.

    Args:
        config: of the run.
        images: and models.
        what: is attempted.

    Returns:
        The report of the run in ``config.out``; records are ``AttackRecord``, one per image and case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, AttackCommand(images, what))


@dataclass(frozen=True)
class AttackCommand:
    """Describes an attack run; see ``Command``.

    Args:
        images: and models.
        config: what is attempted.
    """

    images: ImageConfig
    config: AttackConfig

    name: ClassVar[str] = "attack"
    record: ClassVar[type[Record]] = AttackRecord
    noun: ClassVar[tuple[str, str]] = ("image", "images")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models and lay out the grid."""
        self.config.targets.require([source.path for source in self.images.sources])
        loaded = Loaded.of(self.images, config, before)
        surrogate = surrogate_of(self.config.surrogate, loaded, config)
        cases, skipped = attack_cases(self.config, loaded.classifiers, loaded.first, surrogate)
        grid = AttackGrid(loaded.classifiers, cases, self.config, config, loaded.batch_size, surrogate)
        product = partial(attack_product, pictures=self.images.pictures(len(loaded.items) * len(cases)))

        def work(todo: Todo, known: Known) -> Iterator[Product]:
            reader = Reader.of(loaded.classifiers, self.images.labels, whole=self.config.keep_size)
            read = read_ahead(todo, reader, grid.group_size)
            config.listener.phase(cases[0].id if len(cases) == 1 else f"{len(cases)} cases")
            jobs = chain.from_iterable(self._jobs(grid, group, known, product) for group in grid.groups(read))
            yield from chain.from_iterable(grid.flow(jobs))

        facts = loaded.facts(attack_remarks(cases, loaded.classifiers, self.config))
        facts["environment"] |= {"time_budget": self.config.time_budget}
        return Prepared(
            **facts,
            cases=cases,
            work=work,
            summarize=partial(summarize, min_eps=self.config.min_eps is not None),
            columns=COLUMNS,
            axes=AXES,
            settings={**self.config.settings, **self.images.settings},
            skipped=skipped,
            time_budget=self.config.time_budget,
            waiting=max(WAITING, 2 * loaded.batch_size),
        )

    def _jobs(
        self, grid: AttackGrid, group: Sequence[Image] | Unusable, known: Known, product: Callable[[Attacked], Product]
    ) -> Iterator[Job[list[Product]]]:
        if isinstance(group, Unusable):
            yield nothing_to_do([group.product()])
            return
        for clean, cases in grid.cleaned(group):
            yield grid.job(clean, cases, known, product)


def attack_product(one: Attacked, *, pictures: Pictures) -> Product:
    """Turn what an attack came to into a record with its pictures."""
    image = one.clean.image
    if one.record.status != "ok":
        return Product(image.item, one.record, stat=image.stat)
    before, after = (cache(partial(to_bytes, pixels)) for pixels in (one.clean.pixels, one.saved))  # by the writers
    drawings = attack_pictures(before, after, one.record, panel=pictures.panels)
    named = endings(one.clean, one.case.id, drawings, pictures.scale)
    return Product(image.item, one.record, named, image.stat)


def endings(
    clean: Clean, case: str, drawings: Mapping[str, Drawing], scale: int | None
) -> dict[str, tuple[str, Drawing]]:
    """Name and enlarge the pictures of a case; what the model saw is drawn only where the file is not that picture."""
    drawn = legible(drawings, scale).items()
    named = {kind: (f"{case}.{kind}.png", draw) for kind, draw in drawn if kind != "original"}
    if not clean.image.is_input_of(clean.classifier.card):
        named["original"] = (clean.original_ending, drawings["original"])
    return named


def summarize(frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]], *, min_eps: bool = False) -> Summary:
    """Summarize attack records: the worst case, each case, each label."""
    figures = summarize_attacks(frame, cases, min_eps=min_eps)
    charts = attack_charts(figures.tables, figures.series)
    return Summary(figures.values, figures.tables, charts)
