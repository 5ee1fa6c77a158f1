"""Maps of images under the cases of a run, made together so that the cases share what they can."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from advcli.attributions._run import Explanation, Request, explain_batch
from advcli.core.scores import Target
from advcli.core.shapes import Pixels
from advcli.engine._explaining import Cell, ExplainCell, other_class
from advcli.metrics.regions import central_share
from advcli.models.classifier import Classifier
from advcli.models.layers import Layer, pick_layers
from advcli.runs.command import Case
from advcli.runs.images import Clean


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
    classifier: Classifier | None = None,
) -> list[list[Explained]]:
    """Explain images of one model under several cases, sharing what the cases can share.

    Args:
        clean: the images, all of one model.
        pixels: (N, 3, H, W), what is explained: the images themselves, or adversarial ones.
        cases: each one's payload ends in its cell.
        targets: for each case, the class of each image.
        layer: names of the layers to watch, or none for the default.
        seed: of the run.
        batch_size: images that are worked on together.
        classifier: to explain in the place of the images' own, with layers of the same names.

    Returns:
        For each image, one result per case.
    """
    requests: dict[_Part, Request] = {}
    for case, classes in zip(cases, targets, strict=True):
        for cell in _cell(case).parts:
            layers = layers_of(clean[0].classifier, layer) if cell.method.asks_for("layer") else ()
            made = Request(cell.method, target_of(case, classes, clean), layers)
            requests.setdefault(_part(cell, classes), made)
    answers = explain_batch(
        classifier or clean[0].classifier,
        pixels,
        list(requests.values()),
        seed=seed,
        digests=[one.image.sha256 for one in clean],
        batch_size=batch_size,
    )
    found = dict(zip(requests, answers, strict=True))
    columns = [
        [_explained(one, place, case, classes, answer) for place, one in enumerate(clean)]
        for case, classes in zip(cases, targets, strict=True)
        for answer in [averaged([found[_part(cell, classes)] for cell in _cell(case).parts])]
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def target_of(case: Case, classes: Sequence[int], clean: Sequence[Clean]) -> Target:
    """Say what a case explains of some images of one model, given the class of each."""
    device, cell = clean[0].classifier.device, _cell(case)
    others = [other for one in clean if (other := other_class(cell, one)) is not None]  # of a case, all or none
    against = torch.tensor(others, device=device) if others else None
    return Target(torch.tensor(classes, device=device), cell.score, against)


def averaged(answers: Sequence[Explanation]) -> Explanation:
    """Average maps, each divided by its largest absolute value; one alone stays as it is.

    Returns:
        Maps in [-1, 1] without layers and notes, which belong to one method. A map is ``blank`` if the mean is, and has
        the other flags of all its members.
    """
    if len(answers) == 1:
        return answers[0]
    maps = [answer.maps.astype(np.float64) for answer in answers]
    largest = [np.abs(one).max((1, 2), keepdims=True) for one in maps]
    mean = np.mean([one / np.where(size > 0, size, 1) for one, size in zip(maps, largest, strict=True)], axis=0)
    flags = tuple(
        tuple(dict.fromkeys((*([] if one.any() else ["blank"]), *(flag for flag in told if flag != "blank"))))
        for one, told in zip(
            mean, ([flag for a in answers for flag in a.flags[k]] for k in range(len(mean))), strict=True
        )
    )
    return Explanation(mean.astype(np.float32), (), {}, flags)


@lru_cache(maxsize=32)
def layers_of(classifier: Classifier, names: str | None) -> tuple[Layer, ...]:
    """Find layers, once per classifier; see ``pick_layers``."""
    return pick_layers(classifier, names)


def require_layers(cases: Sequence[Case], classifiers: Sequence[Classifier], names: str | None) -> None:
    """Find the layers that cases will watch, before any image is looked at.

    Args:
        cases: of ``explain_cases``.
        classifiers: of this call.
        names: of the layers to watch, or none for the default.

    Raises:
        UsageError: a model has no such layer, or none that gives a map.
    """
    for case in cases:
        place, cell = case.payload
        if any(part.method.asks_for("layer") for part in cell.parts):
            layers_of(classifiers[place], names)


_Part = tuple[object, ...]


def _cell(case: Case) -> Cell:
    cell: Cell = case.payload[-1]
    return cell


def _part(cell: ExplainCell, classes: Sequence[int]) -> _Part:
    """What decides a map: cases that agree in it share the map."""
    return (*cell.words, cell.method.occurrence, *classes)


def _explained(clean: Clean, place: int, case: Case, classes: Sequence[int], answer: Explanation) -> Explained:
    return Explained(
        clean=clean,
        case=case,
        target=classes[place],
        against=other_class(_cell(case), clean),
        values=answer.maps[place],
        layer=", ".join(layer.name for layer in answer.layers) or None,
        notes={name: float(values[place]) for name, values in answer.notes.items()},
        flags=answer.flags[place],
    )
