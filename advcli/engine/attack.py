"""Attack: change images as little as allowed until the classifier misreads them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from advcli.core.attack import Attack, Traits, traits
from advcli.core.goals import Goal
from advcli.core.norms import BALLS
from advcli.core.randomness import key
from advcli.core.results import AttackRecord, Record, Report
from advcli.core.shapes import Integers
from advcli.core.targets import choose_targets
from advcli.engine.clean import Clean, look_at, probability, to_bytes
from advcli.engine.drive import drive, new_rows
from advcli.engine.outcome import AS_SAVED, Outcome, certain
from advcli.engine.pictures import attack_pictures
from advcli.engine.run import Command, run
from advcli.engine.setup import ClassifierRequest, Setup, classifier_for
from advcli.engine.stream import Drawing, Image, Product
from advcli.engine.summaries import summarize_attacks
from advcli.engine.threat import Threat, target_rule
from advcli.images.sources import Source
from advcli.models.card import Card
from advcli.registry import Method


def attack(setup: Setup, threat: Threat) -> Report:
    """Attack every image with every method.

    Returns:
        The report of the run in ``setup.out``; records are ``AttackRecord``, one per image and method.

    Raises:
        AdvcliError: see ``run``.
    """
    return run(setup, attack_command(setup, threat))


def attack_command(setup: Setup, threat: Threat) -> Command:
    """Describe an attack run."""

    def work(request: ClassifierRequest, card: Card, in_flight: int) -> AttackWork:
        target_rule(threat.target, card)
        return AttackWork(request, threat, setup.seed, in_flight, setup.panels)

    return Command("attack", threat.settings, work, AttackRecord, summarize_attacks)


@dataclass(frozen=True)
class Attacked:
    """What one method did to a batch.

    Args:
        method: which.
        traits: of its attack.
        target: (N,) classes to reach, -1 for none.
        outcome: one entry per image; where the clean image already is at the goal, the image itself.
    """

    method: Method
    traits: Traits
    target: Integers
    outcome: Outcome


@dataclass(frozen=True)
class AttackWork:
    """Attacks batches of images; see ``Work``.

    Args:
        request: of the classifier.
        threat: what is attempted.
        seed: of the run.
        in_flight: rows under attack at a time.
        panels: draw a panel for every image.
    """

    request: ClassifierRequest
    threat: Threat
    seed: int
    in_flight: int
    panels: bool = True

    @property
    def per_image(self) -> int:
        """One record per method."""
        return len(self.threat.methods)

    def __call__(self, images: Sequence[Image]) -> list[Product]:
        """Attack a batch."""
        clean = look_at(classifier_for(self.request), images)
        done = [self.attacked(clean, method) for method in self.threat.methods]
        return [self._product(clean, place, one) for place in range(len(images)) for one in done]

    def refuse(self, source: Source, reason: str, sha256: str | None) -> Record:
        """Make the record of an image that cannot be used."""
        return AttackRecord(path=source.path, source=source.shown, sha256=sha256, status="error", error=reason)

    def attacked(self, clean: Clean, method: Method) -> Attacked:
        """Run one method on a batch that has been looked at."""
        classifier = classifier_for(self.request)
        attack: Attack = method.build()
        digests = [image.sha256 for image in clean.images]
        rule = target_rule(self.threat.target, classifier.card)
        target = choose_targets(rule, clean.logits, clean.label, self.seed, digests)
        keys = torch.tensor([key(self.seed, digest, method.name) for digest in digests], device=classifier.device)
        rows = new_rows(clean.pixels, clean.label, target, keys, self.threat.eps or 0.0)
        open_rows = ~Goal(clean.label, target).reached(clean.logits) & (target != clean.label)
        outcome = Outcome.unmoved(rows, clean.logits)
        if open_rows.any():
            todo = rows[open_rows]
            todo.index = torch.arange(len(todo), device=classifier.device)
            found = drive(attack, classifier, todo, in_flight=self.in_flight, early_exit=self.threat.early_exit)
            outcome.put(open_rows, found)
        return Attacked(method, traits(attack), target, outcome)

    def _product(self, clean: Clean, place: int, one: Attacked) -> Product:
        if one.target[place] == clean.label[place]:
            return self.own_label(clean.images[place], self.refuse)
        record = AttackRecord(**clean.record(place), **attack_facts(clean, place, one, self.threat))
        before, after = to_bytes(clean.pixels[place]), to_bytes(one.outcome.saved[place])
        return Product(record, self.named(attack_pictures(before, after, record, panel=self.panels), one.method))

    def own_label(self, image: Image, refuse: Callable[[Source, str, str | None], Record]) -> Product:
        """Make the product of an image that is asked to become what it is."""
        reason = f"the target {self.threat.target!r} is this image's own label"
        return Product(refuse(image.source, reason, image.sha256))

    def named(self, pictures: Mapping[str, Drawing], method: Method) -> Mapping[str, Drawing]:
        """Put the method in front of the pictures' names where there are several methods."""
        if self.per_image == 1:
            return pictures
        return {name if name == "original.png" else f"{method.label}.{name}": draw for name, draw in pictures.items()}


def attack_facts(clean: Clean, place: int, one: Attacked, threat: Threat) -> dict[str, object]:
    """Give what an attack's record says beyond ``Clean.record``, for the image at ``place``."""
    outcome, here = one.outcome, slice(place, place + 1)
    label, untargeted = clean.label[here], torch.full_like(clean.label[here], -1)
    target = int(one.target[place])
    saved = outcome.saved_logits[place]
    prediction = int(saved.argmax())
    delta = outcome.saved[here] - clean.pixels[here]
    fooled = bool(Goal(label, untargeted).reached(outcome.logits[here]))
    as_saved = bool(certain(Goal(label, untargeted), saved[None]))
    flags = []
    if outcome.passes[place] == 0:
        flags.append("already-there" if target >= 0 else "already-wrong")
    if fooled and not as_saved:
        flags.append("lost-in-rounding")
    return {
        "method": one.method.label,
        "settings": dict(one.method.settings),
        "norm": one.traits.norm if one.traits.scale == "ball" else None,
        "eps": None if one.traits.scale == "none" else threat.eps,
        "target": clean.classes[target] if target >= 0 else None,
        "adversarial_prediction": clean.classes[prediction],
        "adversarial_probability": probability(saved, prediction),
        "fooled": fooled,
        "fooled_as_saved": as_saved,
        "hit_target": bool(outcome.rank[place] == AS_SAVED) if target >= 0 else None,
        "passes": int(outcome.passes[place]),
        "pulls": int(outcome.pulls[place]),
        "linf": float(BALLS["linf"].size(delta)),
        "l2": float(BALLS["l2"].size(delta)),
        "flags": tuple(flags),
    }
