"""Classifiers that differ from those of a run in how an image reaches them: in its own size, or many times over."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from advcli.models.classifier import Classifier
from advcli.runs.images import Clean
from advcli.runs.keeping import keeping_size


@dataclass(frozen=True)
class Variants:
    """Makes each variant once, for rows of one classifier share the network's passes only where it is one object."""

    _known: dict[tuple[int, object], Classifier] = field(default_factory=dict)

    def in_own_size(self, clean: Clean) -> Clean:
        """Give an image as the whole photograph, which the model's reader shows to the model just so."""
        picture = clean.image.picture
        assert picture is not None
        pixels = torch.from_numpy(picture.transpose(2, 0, 1).astype(np.float32) / 255).to(clean.pixels)
        return replace(clean, classifier=self.keeping(clean.classifier, picture.shape[:2]), pixels=pixels)

    def keeping(self, classifier: Classifier, size: tuple[int, int]) -> Classifier:
        """Give a classifier of photographs of a size (height, width)."""
        return self._known.setdefault((id(classifier), size), keeping_size(classifier, size))

    def expected(self, clean: Clean, samples: int) -> Clean:
        """Give an image as it is under the expectation over a network's randomness, of so many passes."""
        if samples == 1:
            return clean
        classifier = self._known.setdefault((id(clean.classifier), samples), clean.classifier.expected(samples))
        logits = classifier.logits(clean.pixels[None])[0]
        label = int(logits.argmax()) if clean.label_source == "predicted" else clean.label
        return replace(clean, classifier=classifier, logits=logits, label=label)
