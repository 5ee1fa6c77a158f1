"""Temperatures fitted to labelled pictures, one per model, computed when they are first asked for."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from advcli.core.precision import wide
from advcli.errors import NoInputError
from advcli.images.labels import Labels
from advcli.images.sources import Source, printable
from advcli.metrics.confidence import fit_temperature
from advcli.models.classifier import Classifier
from advcli.runs.classifiers import default_batch_size
from advcli.runs.images import Image, Reader, Unusable, items_of, look_at, read_ahead

_FEW = 3  # unusable pictures that are named in a warning
_SCARCE = 100  # labelled pictures below which a temperature is a guess


@dataclass(frozen=True)
class Calibration:
    """Labelled pictures as the models of a run see them.

    Args:
        classifiers: of the run.
        images: that could be used; every label is known.
        unusable: that could not.
    """

    classifiers: Sequence[Classifier]
    images: Sequence[Image]
    unusable: Sequence[Unusable]

    @classmethod
    def of(cls, classifiers: Sequence[Classifier], sources: Sequence[Source]) -> "Calibration | None":
        """Read pictures whose folders are called after their classes; none where there are no sources.

        Raises:
            NoInputError: none of them can be used.
        """
        if not sources:
            return None
        todo = ((item, ()) for item in items_of(sources))
        read = list(read_ahead(todo, Reader.of(classifiers, Labels("folder")), 64))
        images = [one for one in read if isinstance(one, Image)]
        unusable = [one for one in read if isinstance(one, Unusable)]
        if not images:
            raise NoInputError(
                f"none of the {len(read)} pictures of --calibrate can be used; {unusable[0].reason}",
                "give a folder with one folder per class of the model",
            )
        return cls(classifiers, images, unusable)

    @cached_property
    def digest(self) -> str:
        """Of the pictures and their labels, whatever their order."""
        lines = sorted(f"{one.sha256} {[seen.label for seen in one.seen]}" for one in self.images)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    @property
    def doubts(self) -> Iterator[str]:
        """Say which pictures could not be used, and whether there are enough."""
        for one in self.unusable[:_FEW]:
            yield f"{printable(one.item.identity)} is left out of the calibration: {one.reason}"
        if len(self.unusable) > _FEW:
            yield f"{len(self.unusable) - _FEW:,} more pictures are left out of the calibration"
        if len(self.images) < _SCARCE:
            yield f"the temperature is fitted to {len(self.images)} pictures only; {_SCARCE} or more are better"

    @cached_property
    def temperatures(self) -> tuple[float, ...]:
        """Of each model, in their order."""
        return tuple(self._temperature(place, one) for place, one in enumerate(self.classifiers))

    def _temperature(self, place: int, classifier: Classifier) -> float:
        size = default_batch_size(classifier.card.preprocessing.size, classifier.device)
        clean = [
            one
            for start in range(0, len(self.images), size)
            for one in look_at(classifier, self.images[start : start + size], place)
        ]
        logits = np.stack([wide(one.logits.cpu()).numpy() for one in clean])
        return fit_temperature(logits, np.array([one.label for one in clean], np.int64))
