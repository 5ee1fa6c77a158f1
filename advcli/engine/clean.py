"""What every command first asks of a batch of images: pixels, logits, predictions and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from advcli.core.shapes import Integers, Logits, Pixels
from advcli.engine.stream import Image
from advcli.models.classifier import Classifier


@dataclass(frozen=True)
class Clean:
    """A batch before anything is done to it.

    Args:
        images: as read.
        pixels: (N, 3, H, W) in [0, 1], on the classifier's device.
        logits: (N, K).
        label: (N,) what each image is held against; its prediction where nothing else is known.
        classes: names.
    """

    images: Sequence[Image]
    pixels: Pixels
    logits: Logits
    label: Integers
    classes: tuple[str, ...]

    @property
    def prediction(self) -> Integers:
        """(N,) classes with the highest logit."""
        return self.logits.argmax(1)

    def record(self, place: int) -> dict[str, Any]:
        """Give what every record says of an image, for the one at ``place``."""
        image = self.images[place]
        prediction = int(self.prediction[place])
        return {
            "path": image.source.path,
            "source": image.source.shown,
            "sha256": image.sha256,
            "width": image.size[0],
            "height": image.size[1],
            "label": self.classes[int(self.label[place])],
            "label_source": image.label_source,
            "prediction": self.classes[prediction],
            "probability": probability(self.logits[place], prediction),
        }


def look_at(classifier: Classifier, images: Sequence[Image]) -> Clean:
    """Classify a batch of images."""
    pixels = torch.from_numpy(np.stack([image.pixels for image in images])).to(classifier.device).float() / 255
    logits = classifier.logits(pixels)
    prediction = logits.argmax(1).tolist()
    label = [own if image.label is None else image.label for image, own in zip(images, prediction, strict=True)]
    return Clean(images, pixels, logits, torch.tensor(label, device=classifier.device), classifier.card.classes)


def probability(logits: torch.Tensor, place: int) -> float:
    """Softmax probability of one class for one image's logits (K,), in float64."""
    return float(logits.cpu().double().softmax(0)[place])


def to_bytes(pixels: torch.Tensor) -> np.ndarray:
    """Turn one picture (3, H, W) in [0, 1] into uint8 (H, W, 3)."""
    levels = (pixels * 255).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().contiguous().numpy()
