"""Explain: what the classifier looks at, by any number of methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advcli.core.results import MapRecord, Record, Report
from advcli.engine.attributing import Maps, Question, attribute, explained_class, layer_for
from advcli.engine.clean import Clean, look_at, to_bytes
from advcli.engine.pictures import map_pictures
from advcli.engine.run import Command, run
from advcli.engine.setup import ClassifierRequest, Setup, classifier_for
from advcli.engine.stream import Drawing, Image, Product
from advcli.engine.summaries import summarize_maps
from advcli.images.sources import Source
from advcli.models.card import Card
from advcli.models.classes import resolve_class


def explain(setup: Setup, question: Question, *, arrays: bool = False) -> Report:
    """Explain every image by every method.

    Args:
        setup: images, classifier and folder.
        question: methods and what they explain.
        arrays: keep the signed float32 maps too, as ``.npy``.

    Returns:
        The report of the run in ``setup.out``; records are ``MapRecord``, one per image and method.

    Raises:
        AdvcliError: see ``run``.
    """
    return run(setup, explain_command(setup, question, arrays=arrays))


def explain_command(setup: Setup, question: Question, *, arrays: bool = False, name: str = "explain") -> Command:
    """Describe an explain run."""

    def work(request: ClassifierRequest, card: Card, in_flight: int) -> ExplainWork:
        if question.explained not in ("predicted", "label"):
            resolve_class(question.explained, card.classes)
        if any(method.asks_for("layer") for method in question.methods):
            layer_for(request, question.layer)
        return ExplainWork(request, question, setup.seed, in_flight, setup.panels, arrays)

    return Command(name, {**question.settings, "arrays": arrays}, work, MapRecord, summarize_maps)


@dataclass(frozen=True)
class ExplainWork:
    """Explains batches of images; see ``Work``.

    Args:
        request: of the classifier.
        question: what is asked.
        seed: of the run.
        in_flight: images worked on together.
        panels: draw a panel for every image.
        arrays: keep the maps as ``.npy`` too.
    """

    request: ClassifierRequest
    question: Question
    seed: int
    in_flight: int
    panels: bool = True
    arrays: bool = False

    @property
    def per_image(self) -> int:
        """One record per method."""
        return len(self.question.methods)

    def __call__(self, images: Sequence[Image]) -> list[Product]:
        """Explain a batch."""
        classifier = classifier_for(self.request)
        clean = look_at(classifier, images)
        target = explained_class(self.question.explained, clean, classifier.card)
        answers = attribute(
            self.request,
            self.question,
            clean.pixels,
            target,
            seed=self.seed,
            sha256=[image.sha256 for image in images],
            at_a_time=self.in_flight,
        )
        names = [clean.classes[place] for place in target.tolist()]
        return [
            self._product(clean, place, names[place], answers, maps) for place in range(len(images)) for maps in answers
        ]

    def refuse(self, source: Source, reason: str, sha256: str | None) -> Record:
        """Make the record of an image that cannot be used."""
        return MapRecord(path=source.path, source=source.shown, sha256=sha256, status="error", error=reason)

    def _product(self, clean: Clean, place: int, explained: str, answers: Sequence[Maps], maps: Maps) -> Product:
        facts = maps.facts(place, self.question)
        record = MapRecord(**clean.record(place), explained=explained, **facts)
        every = {one.method.label: one.values[place] for one in answers}
        pictures: Mapping[str, Drawing] = map_pictures(
            to_bytes(clean.pixels[place]), every, record, panel=self.panels, array=self.arrays
        )
        return Product(record, pictures)
