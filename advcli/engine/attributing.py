"""Attributions over a batch: layers found, random numbers keyed, memory kept flat."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advcli.core.randomness import RowNoise, key
from advcli.core.rows import Rows
from advcli.core.scores import Score
from advcli.core.shapes import Integers, Pixels
from advcli.engine.clean import Clean
from advcli.engine.setup import ClassifierRequest, classifier_for
from advcli.errors import UsageError
from advcli.models.card import Card
from advcli.models.classes import resolve_class
from advcli.models.layers import Layer, pick_layer
from advcli.registry import Method


@dataclass(frozen=True)
class Question:
    """What is asked of every image.

    Args:
        methods: attributions with their settings.
        score: what is differentiated, see ``core/scores.py``.
        layer: to watch, for methods that watch one; by default the deepest that is still a map.
        explained: the class: the ``predicted`` one, the ``label``, or a class by name or index.
    """

    methods: tuple[Method, ...]
    score: Score = "logit"
    layer: str | None = None
    explained: str = "predicted"

    def __post_init__(self) -> None:
        """Refuse a layer that nothing would watch."""
        if self.layer is not None and not any(method.asks_for("layer") for method in self.methods):
            used = ", ".join(method.name for method in self.methods)
            raise UsageError(f"--layer {self.layer} is of no use to {used}", "leave it out, or use grad-cam")

    @property
    def settings(self) -> dict[str, object]:
        """For the report."""
        return {
            "methods": {method.label: {"method": method.name, **method.settings} for method in self.methods},
            "score": self.score,
            "layer": self.layer,
            "explained": self.explained,
        }


@dataclass(frozen=True)
class Maps:
    """What one method made of a batch.

    Args:
        method: which.
        layer: that was watched, or none.
        values: float32 (N, H, W), signed, not scaled.
        notes: figures of the method, (N,) each.
    """

    method: Method
    layer: str | None
    values: np.ndarray
    notes: dict[str, np.ndarray]

    def facts(self, place: int, question: Question) -> dict[str, Any]:
        """Give what a record says of the map of the image at ``place``."""
        return {
            "method": self.method.label,
            "settings": dict(self.method.settings),
            "score": question.score,
            "layer": self.layer,
            "notes": {name: float(values[place]) for name, values in self.notes.items()},
            "flags": ("blank",) if self.blank(place) else (),
        }

    def blank(self, place: int) -> bool:
        """Say whether a map holds no evidence at all."""
        return not self.values[place].any()


@lru_cache(maxsize=16)
def layer_for(request: ClassifierRequest, name: str | None) -> Layer:
    """Find a layer, once per process; see ``pick_layer``."""
    return pick_layer(classifier_for(request), name)


def explained_class(explained: str, clean: Clean, card: Card) -> Integers:
    """Fix the class to explain for each image, from the clean picture: (N,).

    Raises:
        UsageError: the model has no such class.
    """
    if explained == "predicted":
        return clean.prediction
    if explained == "label":
        return clean.label
    return torch.full_like(clean.label, resolve_class(explained, card.classes))


def attribute(
    request: ClassifierRequest,
    question: Question,
    pixels: Pixels,
    target: Integers,
    *,
    seed: int,
    sha256: Sequence[str],
    at_a_time: int,
) -> list[Maps]:
    """Explain a batch by every method of a question.

    Args:
        request: of the classifier.
        question: methods and what they explain.
        pixels: (N, 3, H, W) in [0, 1].
        target: (N,) classes.
        seed: of the run.
        sha256: of each image's file; with the seed and the method it keys the random numbers.
        at_a_time: images worked on together; changes memory, never a result.

    Returns:
        One entry per method.
    """
    answers = []
    for method in question.methods:
        layer = layer_for(request, question.layer) if method.asks_for("layer") else None
        keys = torch.tensor([key(seed, digest, method.name) for digest in sha256], device=pixels.device)
        parts = [
            _explain(request, question, method, layer, pixels[part], target[part], keys[part])
            for part in (slice(start, start + at_a_time) for start in range(0, len(pixels), at_a_time))
        ]
        values = np.concatenate([maps for maps, _ in parts])
        notes = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1]}
        answers.append(Maps(method, layer.name if layer else None, values, notes))
    return answers


def _explain(
    request: ClassifierRequest,
    question: Question,
    method: Method,
    layer: Layer | None,
    pixels: Pixels,
    target: Integers,
    keys: Tensor,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    notes: dict[str, Tensor] = {}
    streams = Rows(index=target, key=keys, drawn=torch.zeros_like(target))
    offered = {"score": question.score, "layer": layer, "notes": notes, "noise": RowNoise(streams)}
    filled = {name: value for name, value in offered.items() if method.asks_for(name)}
    maps: Tensor = method.build()(classifier_for(request), pixels, target, **filled)
    # Not a number where a score is flat or overflows: no evidence, said so rather than drawn.
    maps = torch.nan_to_num(maps.float(), nan=0.0, posinf=0.0, neginf=0.0)
    return maps.cpu().numpy(), {name: values.cpu().double().numpy() for name, values in notes.items()}
