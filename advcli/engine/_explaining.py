"""Explanations on the grid of a run: which cases there are, and groups of images that are explained together."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from advcli.attributions._run import Explanation, Request, explain_batch, traits_of
from advcli.core.scores import Score, Target
from advcli.core.shapes import Pixels
from advcli.errors import UsageError
from advcli.metrics.regions import central_share
from advcli.models.classes import resolve_class
from advcli.models.classifier import Classifier
from advcli.models.layers import Layer, pick_layers
from advcli.registry import Method
from advcli.runs.command import Case
from advcli.runs.grid import case_id, numbered
from advcli.runs.images import Clean

CLASS_RULES = ("predicted", "label", "second")
AXES = ("model", "method", "settings", "score", "class_rule")
_DIFFERENCE = ":difference"
_AIM = 5.0  # seconds that a group should take: an interruption costs no more


@dataclass(frozen=True)
class ExplainCell:
    """One cell of the grid of explanations, on one model.

    Args:
        method: the attribution.
        score: what is differentiated.
        explained: what ``--class`` said.
    """

    method: Method
    score: Score
    explained: str

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        return {
            "method": self.method.name,
            "settings": dict(self.method.settings),
            "score": self.score,
            "class_rule": self.explained,
        }

    @property
    def words(self) -> tuple[str | None, ...]:
        """Values that the id of the case is made of."""
        explained = None if self.explained == "predicted" else self.explained
        return (self.method.id, explained, None if self.score == "logit" else self.score)


@dataclass(frozen=True)
class ExplainConfig:
    """What is explained, and how.

    Args:
        methods: attributions with their settings.
        scores: what is differentiated, see ``core/scores.py``.
        classes: whose score: the ``predicted`` class, the ``label``, the ``second`` most probable, or a class by name
            or index; or two of these as ``A,B:difference``: the score of A minus that of B, why the one and not the
            other.
        layer: to watch, for methods that watch one; by default the deepest that is still a map. The maps of several
            are averaged; see ``models.layers.pick_layers``.
        arrays: keep the signed float32 maps too, as ``.npy``.

    Raises:
        UsageError: a layer that no method would watch.
    """

    methods: tuple[Method, ...]
    scores: tuple[Score, ...] = ("logit",)
    classes: tuple[str, ...] = ("predicted",)
    layer: str | None = None
    arrays: bool = False

    def __post_init__(self) -> None:
        """Refuse a layer that nothing would watch."""
        if self.layer is not None and not any(method.asks_for("layer") for method in self.methods):
            used = ", ".join(method.name for method in self.methods)
            raise UsageError(f"--layer {self.layer} is of no use to {used}", "leave it out, or use grad-cam")

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results and is the same for all cases, for the report."""
        return {"layer": self.layer, "arrays": self.arrays}

    def cells(self, classes: Sequence[str]) -> tuple[list[ExplainCell], list[str]]:
        """List the cells of the grid for a model, and a sentence for each combination that makes no sense.

        Args:
            classes: names of the model's classes.

        Raises:
            UsageError: the model has no such class.
        """
        cells, skipped = [], []
        for explained in self.classes:
            for part in class_parts(explained):
                if part not in CLASS_RULES:
                    resolve_class(part, classes)
        for method in self.methods:
            scores, rules = self.scores, self.classes
            if traits_of(method).class_free and len(scores) * len(rules) > 1:
                skipped.append(f"{method.name} depends on no class and no score, and runs once")
                scores, rules = scores[:1], rules[:1]
            cells += [ExplainCell(method, score, explained) for score in scores for explained in rules]
        return cells, skipped


def explain_cases(config: ExplainConfig, classifiers: Sequence[Classifier], first: str) -> tuple[list[Case], list[str]]:
    """Lay out the grid: models, methods, scores and classes.

    Args:
        config: what is explained.
        classifiers: of this call.
        first: name of the run's first model, which ids leave out.

    Returns:
        The cases, and a sentence for each combination that makes no sense, or that the method refuses.

    Raises:
        UsageError: nothing is left, or a model has no such class.
    """
    cases: list[Case] = []
    sentences: dict[str, None] = {}
    for place, classifier in enumerate(classifiers):
        card = classifier.card
        cells, skipped = config.cells(card.classes)
        refused = {}
        for method in config.methods:
            reason = method.refusal(classifier)
            if reason is not None:
                refused[method.id] = reason
        sentences.update(dict.fromkeys([*skipped, *refused.values()]))
        for order, cell in enumerate(cells):
            if cell.method.id not in refused:
                name = case_id([*cell.words, None if card.name == first else card.name])
                cases.append(Case(name, {"model": card.name, **cell.axes}, (place, order), (place, cell)))
    if not cases:
        reasons = list(sentences)
        raise UsageError(reasons[0], "use another method; see --list")
    return numbered(cases), list(sentences)


def class_parts(explained: str) -> tuple[str, ...]:
    """Read what ``--class`` said: one class, or the two of ``A,B:difference``.

    Raises:
        UsageError: a difference is not of two classes.
    """
    if not explained.endswith(_DIFFERENCE):
        return (explained,)
    first, *others = (part.strip() for part in explained.removesuffix(_DIFFERENCE).split(","))
    if len(others) != 1 or not first or not others[0] or first == others[0]:
        raise UsageError(
            f"--class {explained!r} is not the difference of two classes", "write --class cat,dog:difference"
        )
    return first, others[0]


def explained_class(cell: ExplainCell, clean: Clean) -> int:
    """Fix the class to explain for one image, from the clean picture; of a difference, the first."""
    return _class_of(class_parts(cell.explained)[0], clean)


def other_class(cell: ExplainCell, clean: Clean) -> int | None:
    """Fix the class whose score a difference takes away, from the clean picture; none where it is no difference."""
    _, *others = class_parts(cell.explained)
    return _class_of(others[0], clean) if others else None


def _class_of(word: str, clean: Clean) -> int:
    if word == "predicted":
        return clean.prediction
    if word == "label":
        return clean.label
    if word == "second":
        return int(torch.argsort(clean.logits, descending=True, stable=True)[1])
    return resolve_class(word, clean.classes)


@dataclass(frozen=True)
class Explained:
    """What one case came to for one image.

    Args:
        clean: the image under its model.
        case: which.
        target: class that was explained.
        against: class whose score was taken away from it, or none.
        values: float32 (H, W), signed.
        layer: name of the layer that was watched, or names, or none.
        notes: figures of the method.
        flags: of the map, such as ``blank``.
    """

    clean: Clean
    case: Case
    target: int
    against: int | None
    values: np.ndarray
    layer: str | None
    notes: dict[str, float]
    flags: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What a record says of the map."""
        return {
            "explained": self.clean.classes[self.target],
            "explained_against": None if self.against is None else self.clean.classes[self.against],
            "layer": self.layer,
            "notes": self.notes,
            "flags": self.flags,
            "share_central": central_share(self.values),
        }


def explain_images(
    clean: Sequence[Clean],
    pixels: Pixels,
    cases: Sequence[Case],
    targets: Sequence[Sequence[int]],
    *,
    layer: str | None,
    seed: int,
    batch_size: int,
) -> list[list[Explained]]:
    """Explain images of one model under several cases, sharing what the cases can share.

    Args:
        clean: the images, all of one model.
        pixels: (N, 3, H, W), what is explained: the images themselves, or adversarial ones.
        cases: each one's payload ends in its ``ExplainCell``.
        targets: for each case, the class of each image.
        layer: names of the layers to watch, or none for the default.
        seed: of the run.
        batch_size: images that are worked on together.

    Returns:
        For each image, one result per case.
    """
    classifier = clean[0].classifier
    others = [[other_class(case.payload[-1], one) for one in clean] for case in cases]
    requests = [
        Request(case.payload[-1].method, _target(row, other, case, pixels), _layers(classifier, case, layer))
        for case, row, other in zip(cases, targets, others, strict=True)
    ]
    digests = [one.image.sha256 for one in clean]
    answers = explain_batch(classifier, pixels, requests, seed=seed, digests=digests, batch_size=batch_size)
    return [
        [_explained(one, place, *parts) for parts in zip(cases, targets, others, answers, strict=True)]
        for place, one in enumerate(clean)
    ]


def _target(classes: Sequence[int], others: Sequence[int | None], case: Case, pixels: Pixels) -> Target:
    named = [other for other in others if other is not None]  # of a case, all or none
    against = torch.tensor(named, device=pixels.device) if named else None
    return Target(torch.tensor(classes, device=pixels.device), case.payload[-1].score, against)


def _layers(classifier: Classifier, case: Case, names: str | None) -> tuple[Layer, ...]:
    return layers_of(classifier, names) if case.payload[-1].method.asks_for("layer") else ()


@lru_cache(maxsize=32)
def layers_of(classifier: Classifier, names: str | None) -> tuple[Layer, ...]:
    """Find layers, once per classifier; see ``pick_layers``."""
    return pick_layers(classifier, names)


def _explained(
    clean: Clean, place: int, case: Case, targets: Sequence[int], others: Sequence[int | None], answer: Explanation
) -> Explained:
    return Explained(
        clean=clean,
        case=case,
        target=targets[place],
        against=others[place],
        values=answer.maps[place],
        layer=", ".join(layer.name for layer in answer.layers) or None,
        notes={name: float(values[place]) for name, values in answer.notes.items()},
        flags=answer.flags[place],
    )


class Groups:
    """Sizes of groups that begin at one image, at most double, and aim at five seconds each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 1

    def of(self, images: Iterator[Any]) -> Iterator[list[Any]]:
        """Yield groups; how long the caller takes for one decides the size of the next."""
        group: list[Any] = []
        for image in images:
            group.append(image)
            if len(group) >= self._size:
                began = time.perf_counter()
                yield group
                seconds = max(time.perf_counter() - began, 1e-6)
                fitting = int(len(group) * _AIM / seconds)
                self._size = max(1, min(2 * self._size, fitting, self._most))
                group = []
        if group:
            yield group
