"""Compare: fool the classifier, and see what it looks at before and after."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pandas as pd
from torch import Tensor

from advcli.attributions._run import kept_in_fp32
from advcli.core.choices import After, Detection, Probe, Protocol
from advcli.core.records import CompareRecord, Record
from advcli.core.report import Report
from advcli.engine._adapting import Adapter, without_ball
from advcli.engine._adapting import refusal as not_attacked
from advcli.engine._attack_cases import AXES, attack_cases, attack_remarks
from advcli.engine._attacking import Attacked, AttackGrid, nothing_to_do
from advcli.engine._clean_maps import CleanMaps
from advcli.engine._comparing import Compared, Comparer, Pair, plain_record
from advcli.engine._detecting import Detector
from advcli.engine._explaining import ExplainConfig, explain_cases, without_models
from advcli.engine._floors import FLOORS, Floors
from advcli.engine._groups import Groups
from advcli.engine._maps import require_layers
from advcli.engine.attack import endings
from advcli.figures.compare_pictures import Explanation, compare_pictures
from advcli.figures.comparison_charts import comparison_charts
from advcli.figures.overlays import Photo
from advcli.figures.roc_chart import roc_charts
from advcli.figures.run_charts import attack_charts
from advcli.images.writing import to_bytes
from advcli.metrics.regions import TOP_TENTH, top_masks
from advcli.models.classifier import Classifier
from advcli.reports.attack_figures import FIGURES
from advcli.reports.compare_figures import COLUMNS, SIMILARITIES, summarize_comparisons
from advcli.reports.tables import write_long_similarity
from advcli.runs.command import Case, Item, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.holding import Looks
from advcli.runs.images import Image, ImageConfig, Reader, Todo, Unusable, read_ahead
from advcli.runs.ledger import RECORDS
from advcli.runs.life import run
from advcli.runs.loaded import Loaded
from advcli.runs.pictures import Pictures
from advcli.search.config import AttackConfig
from advcli.search.flow import Job


def compare(
    config: RunConfig,
    images: ImageConfig,
    attack: AttackConfig,
    explain: ExplainConfig,
    *,
    after: After = "same",
    probes: tuple[Probe, ...] = (),
    detection: Detection = "plain",
) -> Report:
    """Attack every image, and explain it before and after.

    Args:
        config: of the run.
        images: and models.
        attack: what is attempted.
        explain: what is explained.
        after: the class that is explained on the adversarial picture: the ``same`` as on the clean one, so that only
            the picture changes, the adversarial picture's ``own`` prediction, or ``both`` one after the other.
        probes: slight changes under which maps are compared, to tell attacked pictures from others; none for no such
            question.
        detection: ``adaptive`` attacks the detectors too.

    Returns:
        The report of the run in ``config.out``; records are ``CompareRecord``, one per image and attack case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, CompareCommand(images, attack, explain, after, probes, detection=detection))


@dataclass(frozen=True)
class CompareCommand:
    """Describes a compare run; see ``Command``.

    Args:
        images: and models.
        attack: what is attempted.
        explain: what is explained.
        after: class explained on the adversarial picture.
        probes: slight changes under which maps are compared; see ``compare``.
        protocol: name of the published design that the options were taken from, or none.
        detection: ``adaptive`` attacks the detectors too.
    """

    images: ImageConfig
    attack: AttackConfig
    explain: ExplainConfig
    after: After = "same"
    probes: tuple[Probe, ...] = ()
    protocol: Protocol | None = None
    detection: Detection = "plain"

    name: ClassVar[str] = "compare"
    record: ClassVar[type[Record]] = CompareRecord
    noun: ClassVar[tuple[str, str]] = ("image", "images")
    figures: ClassVar[tuple[str, ...]] = FIGURES

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Load the models, and lay out the attacks and the explanations."""
        self.attack.targets.require([source.path for source in self.images.sources])
        loaded = Loaded.of(self.images, config, before)
        cases, skipped = attack_cases(self.attack, loaded.classifiers, loaded.first)
        found, left_out = explain_cases(self.explain, loaded.classifiers, loaded.first)
        explanations = without_models(found)
        require_layers(explanations, loaded.classifiers, self.explain.layer)
        drawn = self.images.pictures(len(loaded.items) * len(cases))
        grid = AttackGrid(loaded.classifiers, cases, self.attack, config, loaded.batch_size)
        comparer = Comparer(self.after, self.explain.layer, config.seed, loaded.batch_size, CleanMaps())
        reader = Reader.of(loaded.classifiers, self.images.labels, whole=drawn.panels)
        floors = Floors(comparer, loaded.classifiers, reader, loaded.items, config.out / "tables" / FLOORS)
        adapter = Adapter(config.seed, self.explain.layer) if self.detection == "adaptive" else None
        detector = Detector(self.probes, comparer, adapter) if self.probes else None
        comparing = Comparing(self, grid, explanations, drawn, comparer, floors, detector)
        settings = {**self.attack.settings, **self.explain.settings, **self.images.settings, "after": self.after}
        settings |= {"probes": list(self.probes), "protocol": self.protocol}
        settings |= {"detect": self.detection if self.probes else None}
        remarks = attack_remarks(cases, loaded.classifiers, self.attack)
        return Prepared(
            **loaded.facts([*remarks, *kept_in_fp32(self.explain.methods, config.precision)]),
            cases=cases,
            work=comparing.work,
            summarize=partial(
                summarize,
                out=config.out,
                floors=floors,
                seed=config.seed,
                min_eps=self.attack.min_eps is not None,
                probed=bool(self.probes),
            ),
            columns=COLUMNS,
            axes=AXES,
            settings={**settings, "explain": list(dict.fromkeys(case.id for case in explanations))},
            skipped=[*skipped, *left_out, *(self._spared() if adapter else ())],
            exports={SIMILARITIES: write_long_similarity},
        )

    def _spared(self) -> list[str]:
        """Say which detectors are not attacked, and of which attacks no picture is made to hide."""
        said = [not_attacked(method) for method in self.explain.methods]
        said += [without_ball(method) for method in self.attack.methods]
        return [one for one in said if one is not None]


@dataclass(frozen=True)
class Comparing:
    """Attacks images, and explains what comes out in groups.

    Args:
        command: what is asked.
        grid: of the attacks.
        explanations: cases of the explanations, of all models.
        drawn: what is drawn for every result.
        comparer: explains and measures.
        floors: what the measures give where no attack is.
        detector: asks how the maps of pictures change under probes; none to ask no such thing.
    """

    command: CompareCommand
    grid: AttackGrid
    explanations: Sequence[Case]
    drawn: Pictures
    comparer: Comparer
    floors: Floors
    detector: Detector | None

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Attack and explain the images that have cases left, and measure the floors at last."""
        del known  # every eps is attacked for itself: a point that a smaller one found would not be the answer
        read = read_ahead(todo, self.floors.reader, self.grid.batch_size)
        jobs = chain.from_iterable(self._jobs(group) for group in self.grid.groups(read))
        finished = chain.from_iterable(self.grid.flow(jobs))
        least = self.detector.adapter.together(self.grid.classifiers) if self.detector and self.detector.adapter else 1
        for group in Groups(4 * self.grid.batch_size, least).of(finished):
            yield from (one for one in group if isinstance(one, Product))
            attacked = [one for one in group if isinstance(one, Attacked)]
            yield from (Product(_item(one), plain_record(one), stat=_stat(one)) for one in attacked if not _is_ok(one))
            for place, classifier in enumerate(self.grid.classifiers):
                mine = [one for one in attacked if _is_ok(one) and one.clean.classifier is classifier]
                cases = [case for case in self.explanations if case.payload[0] == place]
                if mine and cases:
                    yield from self._products(classifier, mine, cases)
                else:  # every explanation refuses this model
                    yield from (Product(_item(one), plain_record(one), stat=_stat(one)) for one in mine)
            self.comparer.clean_maps.release(attacked)
        self.grid.run.listener.phase("floors")
        self.floors.complete(self.explanations)
        self.comparer.close()

    def _jobs(self, group: Sequence[Image] | Unusable) -> Iterator[Job[list[Product] | list[Attacked]]]:
        if isinstance(group, Unusable):
            yield nothing_to_do([group.product()])
            return
        for clean, cases in self.grid.cleaned(group):
            for case in cases:
                yield self.grid.job(clean, [case], Nothing(), lambda one: one)

    def _products(
        self, classifier: Classifier, attacked: Sequence[Attacked], cases: Sequence[Case]
    ) -> Iterator[Product]:
        compared = self.comparer.compare(classifier, attacked, cases)
        if self.detector is None:
            yield from map(self._product, compared)
            return
        for one, told in zip(compared, self.detector.probe(classifier, attacked, cases), strict=True):
            record = one.record.model_copy(update={"probes": told.rows})
            yield self._product(replace(one, record=record), told.pictures)

    def _product(self, one: Compared, hidden: Mapping[str, Tensor] = MappingProxyType({})) -> Product:
        attacked, clean = one.attacked, one.attacked.clean
        self.floors.keep([[pair.first for pair in one.pairs if pair.after == one.pairs[0].after]])
        before, after = to_bytes(clean.pixels), to_bytes(attacked.saved)
        picture, how = clean.image.picture, clean.classifier.card.preprocessing
        photo = None if picture is None else Photo.cropped(picture, how.size, how.resize, self.drawn.scale)
        maps = [_drawn(pair, one.pairs[0].after) for pair in one.pairs]
        drawings = compare_pictures(before, after, maps, one.record, panel=self.drawn.panels, photo=photo)
        drawings = {**drawings, **{name: partial(to_bytes, pixels) for name, pixels in hidden.items()}}
        named = endings(clean, attacked.case.id, drawings, self.drawn.scale)
        return Product(_item(attacked), one.record, named, _stat(attacked))


def _drawn(pair: Pair, first: str) -> Explanation:
    """What the pictures need of a pair of maps; where both classes are explained, the second is named ``.own``."""
    cell = pair.first.case.payload[1]
    values = pair.first.values, pair.second.values
    (top_before,), (top_after,) = (top_masks(one, (TOP_TENTH,)) for one in values)
    own = "" if pair.after == first else f".{pair.after}"
    method = "-".join(word for word in cell.words[:-1] if word)  # all but the score
    explained = pair.second.clean.classes[pair.second.target]
    return Explanation(f"{pair.first.case.id}{own}", method, cell.score, *values, top_before, top_after, explained)


class Nothing:
    """What is known where earlier results do not matter; see ``Known``."""

    cases: ClassVar[Mapping[str, Mapping[str, object]]] = {}

    def record(self, item: str, case: str) -> dict[str, Any] | None:
        """Know of no record."""
        del item, case
        return None


def _item(one: Attacked) -> Item:
    return one.clean.image.item


def _stat(one: Attacked) -> Looks | None:
    return one.clean.image.stat


def _is_ok(one: Attacked) -> bool:
    return one.record.status == "ok"


def summarize(
    frame: pd.DataFrame,
    cases: Mapping[str, Mapping[str, object]],
    *,
    out: Path,
    floors: Floors,
    seed: int,
    min_eps: bool = False,
    probed: bool = False,
) -> Summary:
    """Summarize compare records: the attacks, and how alike the maps before and after are.

    Args:
        frame: records.
        cases: of the attacks.
        out: folder of the run, in whose table of similarities the values are.
        floors: what the measures give where no attack is.
        seed: of the run.
        min_eps: the smallest eps of each image was searched.
        probed: the records say how maps change under probes.
    """
    figures = summarize_comparisons(
        frame,
        cases,
        out / "tables" / SIMILARITIES,
        floors=floors.known,
        seed=seed,
        min_eps=min_eps,
        records=out / RECORDS if probed else None,
    )
    norms = {name: axes.get("norm") for name, axes in cases.items()}
    charts = comparison_charts(figures.tables["similarity"], norms) | roc_charts(figures.tables.get("roc", ()))
    return Summary(figures.values, figures.tables, charts | attack_charts(figures.tables, figures.series))
