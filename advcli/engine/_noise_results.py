"""What noise-search says of pictures it has looked at: the figures of a record, and the pictures that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advcli.attributions.gradient import gradient
from advcli.core.records import NoiseHit, NoiseRecord
from advcli.core.scores import Target
from advcli.engine._calibrating import Calibration
from advcli.figures.colors import color, limit_of
from advcli.figures.noise_sheets import MAP, Shown, sheet
from advcli.images.writing import to_bytes
from advcli.metrics.confidence import Confidence
from advcli.models.classifier import Classifier
from advcli.models.view import View
from advcli.runs.command import Case, Drawing, Item, Product
from advcli.runs.grid import picture_path

BINS = 20  # of the histogram of confidences
_DIGITS = 7  # of the figures of single attempts


@dataclass(frozen=True)
class NoiseResults:
    """Makes records.

    Args:
        classifiers: of the run.
        threshold: probability from which an answer is a hit.
        calibration: gives the temperatures; none for none.
    """

    classifiers: Sequence[Classifier]
    threshold: float
    calibration: Calibration | None

    def figures(self, case: Case, said: Confidence, logits: np.ndarray) -> dict[str, Any]:
        """What a record says of its pictures, whatever they are."""
        names = self.classifiers[case.payload[0]].card.classes
        probabilities = rounded(said.probabilities)
        hits = np.array(probabilities) >= self.threshold  # of what the record says, so that all figures agree
        figures: dict[str, Any] = {
            "hits": int(hits.sum()),
            "hits_by_class": counted(said.predictions[hits], names),
            "classes": counted(said.predictions, names),
            "confidence_histogram": tuple(np.histogram(probabilities, BINS, (0, 1))[0].tolist()),
            "probabilities": probabilities,
            "predictions": tuple(said.predictions.tolist()),
            "max_logits": rounded(said.max_logits),
            "energies": rounded(said.energies),
        }
        if self.calibration is not None:
            temperature = self.calibration.temperatures[case.payload[0]]
            sober = Confidence.of(logits, temperature)
            figures["temperature"] = float(f"{temperature:.{_DIGITS}g}")
            figures["calibrated_probabilities"] = rounded(sober.probabilities)
            figures["calibrated_hits"] = sum(one >= self.threshold for one in figures["calibrated_probabilities"])
        return {**case.axes, "attempts": len(logits), **figures}

    def product(
        self,
        item: Item,
        case: Case,
        facts: dict[str, Any],
        pixels: Tensor,
        said: Confidence,
        kept: Sequence[int],
        numbers: Sequence[int],
    ) -> Product:
        """Make the record, and the pictures that it keeps with their gradients."""
        pictures: dict[str, tuple[str, Drawing]] = {}
        hits, shown = [], []
        classifier = self.classifiers[case.payload[0]]
        maps = gradients(classifier, pixels, said.predictions[list(kept)]) if len(kept) else ()
        for rank, (place, number) in enumerate(zip(kept, numbers, strict=True), 1):
            name = classifier.card.classes[said.predictions[place]]
            probability = facts["probabilities"][place]
            drawn, drawn_map = to_bytes(pixels[rank - 1]), color(maps[rank - 1], limit_of(maps[rank - 1]))
            endings = {"noise": f"{case.id}.{number:07}.png", "map": f"{case.id}.{number:07}{MAP}"}
            pictures[f"noise-{rank}"] = (endings["noise"], partial(np.asarray, drawn))
            pictures[f"map-{rank}"] = (endings["map"], partial(np.asarray, drawn_map))
            hits.append(
                NoiseHit(
                    attempt=number,
                    prediction=name,
                    probability=probability,
                    hit=probability >= self.threshold,
                    file=picture_path(item.identity, endings["noise"]),
                )
            )
            shown.append(Shown(drawn, drawn_map, name, probability, f"attempt {number:,}", hit=hits[-1].hit))
        if shown:
            title = f"{item.identity}  ·  {case.id}"
            pictures["panel"] = (f"{case.id}.panel.png", partial(sheet, shown, title))
        return Product(item, NoiseRecord(item=item.identity, case=case.id, kept=tuple(hits), **facts), pictures)


def counted(predictions: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """Class to number of predictions, the most frequent first; classes without any are left out."""
    counts = np.bincount(predictions, minlength=len(names))
    return {names[place]: int(counts[place]) for place in np.argsort(-counts, kind="stable") if counts[place]}


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """Keep seven digits of each value."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values.tolist())


def gradients(classifier: Classifier, pixels: Tensor, classes: np.ndarray) -> np.ndarray:
    """Gradient of each picture's own logit, as signed float32 maps (N, H, W)."""
    view = View(classifier, pixels, gradient=True)
    target = Target(torch.from_numpy(classes).to(pixels.device))
    maps: np.ndarray = gradient(view, target).detach().cpu().numpy().astype(np.float32)
    return maps
