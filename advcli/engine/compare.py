"""Compare: fool the classifier, and see what it looks at before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from advcli.core.results import CompareRecord, Record, Report
from advcli.engine.attack import Attacked, AttackWork, attack_facts
from advcli.engine.attributing import Maps, Question, attribute, explained_class
from advcli.engine.clean import Clean, look_at, to_bytes
from advcli.engine.explain import explain_command
from advcli.engine.pictures import compare_pictures
from advcli.engine.run import Command, run
from advcli.engine.setup import ClassifierRequest, Setup, classifier_for
from advcli.engine.stream import Image, Product
from advcli.engine.summaries import summarize_comparisons
from advcli.engine.threat import Threat, target_rule
from advcli.images.sources import Source
from advcli.metrics.similarity import similarity
from advcli.models.card import Card

After = Literal["same", "own"]


def compare(setup: Setup, threat: Threat, question: Question, *, after: After = "same") -> Report:
    """Attack every image, and explain it before and after.

    Args:
        setup: images, classifier and folder.
        threat: attacks.
        question: explanations.
        after: the class that is explained on the adversarial picture: the ``same`` as on the clean one, so that only
            the picture changes, or the adversarial picture's ``own`` prediction.

    Returns:
        The report of the run in ``setup.out``; records are ``CompareRecord``, one per image and attack.

    Raises:
        AdvcliError: see ``run``.
    """
    return run(setup, compare_command(setup, threat, question, after=after))


def compare_command(setup: Setup, threat: Threat, question: Question, *, after: After = "same") -> Command:
    """Describe a compare run."""
    explaining = explain_command(setup, question)

    def work(request: ClassifierRequest, card: Card, in_flight: int) -> CompareWork:
        target_rule(threat.target, card)
        explaining.work(request, card, in_flight)  # refuses an unknown class or layer before the first image
        attacking = AttackWork(request, threat, setup.seed, in_flight, setup.panels)
        return CompareWork(attacking, question, after)

    settings = {"attack": threat.settings, "explain": question.settings, "after": after}
    return Command("compare", settings, work, CompareRecord, summarize_comparisons)


@dataclass(frozen=True)
class CompareWork:
    """Attacks batches of images and explains both sides; see ``Work``.

    Args:
        attacking: does the attacks.
        question: explanations.
        after: class explained on the adversarial picture.
    """

    attacking: AttackWork
    question: Question
    after: After = "same"

    @property
    def per_image(self) -> int:
        """One record per attack."""
        return self.attacking.per_image

    def __call__(self, images: Sequence[Image]) -> list[Product]:
        """Attack and explain a batch; the clean maps are made once for all attacks."""
        classifier = classifier_for(self.attacking.request)
        clean = look_at(classifier, images)
        target = explained_class(self.question.explained, clean, classifier.card)
        before = self._maps(clean, clean.pixels, target)
        products: list[list[Product]] = [[] for _ in images]
        for method in self.attacking.threat.methods:
            one = self.attacking.attacked(clean, method)
            seen = target if self.after == "same" else one.outcome.saved_logits.argmax(1)
            after = self._maps(clean, one.outcome.saved, seen)
            for place, mine in enumerate(products):
                mine.append(self._product(clean, place, one, (before, after), (target, seen)))
        return [product for mine in products for product in mine]

    def refuse(self, source: Source, reason: str, sha256: str | None) -> Record:
        """Make the record of an image that cannot be used."""
        return CompareRecord(path=source.path, source=source.shown, sha256=sha256, status="error", error=reason)

    def _maps(self, clean: Clean, pixels: torch.Tensor, target: torch.Tensor) -> list[Maps]:
        return attribute(
            self.attacking.request,
            self.question,
            pixels,
            target,
            seed=self.attacking.seed,
            sha256=[image.sha256 for image in clean.images],
            at_a_time=self.attacking.in_flight,
        )

    def _product(
        self,
        clean: Clean,
        place: int,
        one: Attacked,
        maps: tuple[list[Maps], list[Maps]],
        targets: tuple[torch.Tensor, torch.Tensor],
    ) -> Product:
        if one.target[place] == clean.label[place]:
            return self.attacking.own_label(clean.images[place], self.refuse)
        pairs = list(zip(*maps, strict=True))
        facts = attack_facts(clean, place, one, self.attacking.threat)
        record = CompareRecord(
            **clean.record(place),
            **facts,
            explained_before=clean.classes[int(targets[0][place])],
            explained_after=clean.classes[int(targets[1][place])],
            similarity={a.method.label: similarity(a.values[place], b.values[place]) for a, b in pairs},
            blank=tuple(a.method.label for a, b in pairs if a.blank(place) or b.blank(place)),
        )
        pictures = compare_pictures(
            to_bytes(clean.pixels[place]),
            to_bytes(one.outcome.saved[place]),
            {a.method.label: (a.values[place], b.values[place]) for a, b in pairs},
            record,
            panel=self.attacking.panels,
        )
        return Product(record, self.attacking.named(pictures, one.method))
