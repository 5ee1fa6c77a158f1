"""Images as items of a run: listed, read ahead by threads, and seen by each model in its own way."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from advcli.core.goals import lead
from advcli.core.precision import exact
from advcli.core.records import ErrorRecord
from advcli.core.shapes import Logits, Pixels
from advcli.errors import ImageError
from advcli.images.labels import Labels, label_for
from advcli.images.reading import decode, fit, read_bytes
from advcli.images.sources import Source
from advcli.models.card import Card
from advcli.models.classes import match
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest
from advcli.runs.command import Case, Item, Product
from advcli.runs.holding import Looks, looks
from advcli.runs.pictures import Pictures

Todo = Iterator[tuple[Item, Sequence[Case]]]
_READERS = max(2, min(8, os.cpu_count() or 2))
_TOP = 5


@dataclass(frozen=True)
class ImageConfig:
    """What every command over images is told.

    Args:
        sources: the images, as listed.
        models: the networks; every model reads the images in its own way.
        labels: where labels come from.
        panels: draw a panel for every result; by default where there are at most ``FEW``.
        scale: how many times pictures for people are enlarged; by default, where there are at most ``FEW``
            results, until they are legible.
    """

    sources: Sequence[Source]
    models: tuple[ModelRequest, ...] = field(default_factory=lambda: (ModelRequest(),))
    labels: Labels = field(default_factory=lambda: Labels("auto"))
    panels: bool | None = None
    scale: int | None = None

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results, for the report."""
        if self.labels.table is None:
            return {"labels": self.labels.how}
        digest = hashlib.sha256(repr(sorted(self.labels.table.items())).encode()).hexdigest()
        return {"labels": f"file {digest[:16]}"}

    def pictures(self, results: int) -> Pictures:
        """Say what is drawn for each of so many results."""
        return Pictures.of(results, panels=self.panels, scale=self.scale)


@dataclass(frozen=True)
class Seen:
    """One image as one model sees it.

    Args:
        pixels: uint8 (3, H, W) at the model's input size.
        label: class it is held against; none where nothing says so.
        label_source: where the label came from: ``folder``, ``file``, ``record``, or ``predicted`` (still to do).
    """

    pixels: np.ndarray
    label: int | None
    label_source: str


@dataclass(frozen=True)
class Image:
    """One input, read.

    Args:
        item: which.
        cases: to be done for it.
        sha256: of the file's bytes.
        nbytes: their number.
        stat: how the file looked before it was read.
        size: (width, height) of the picture in the file.
        seen: by each model of the run.
        picture: uint8 (H, W, 3), the whole picture; none where the command has no use for it.
    """

    item: Item
    cases: Sequence[Case]
    sha256: str
    nbytes: int
    stat: Looks | None
    size: tuple[int, int]
    seen: tuple[Seen, ...]
    picture: np.ndarray | None

    @property
    def facts(self) -> dict[str, Any]:
        """What every record says of an image, whatever the model."""
        return {
            "item": self.item.identity,
            "path": self.item.identity,
            "source": self.item.source,
            "sha256": self.sha256,
            "bytes": self.nbytes,
            "width": self.size[0],
            "height": self.size[1],
        }

    def is_input_of(self, card: Card) -> bool:
        """Say whether the file itself is the picture that the model sees, without loss."""
        height, width = card.preprocessing.size
        return self.size == (width, height) and self.item.source.lower().endswith(".png")


@dataclass(frozen=True)
class Unusable:
    """An input that cannot be used, and why."""

    item: Item
    reason: str
    sha256: str | None
    nbytes: int | None
    stat: Looks | None

    def product(self) -> Product:
        """Make the error record of the item."""
        record = ErrorRecord(
            item=self.item.identity,
            path=self.item.identity,
            source=self.item.source,
            sha256=self.sha256,
            bytes=self.nbytes,
            error=self.reason,
        )
        return Product(self.item, record, stat=self.stat)


@dataclass(frozen=True)
class Reader:
    """Turns an item into an image; picklable.

    Args:
        cards: of the models of the run.
        labels: where labels come from.
        whole: keep the whole picture.
    """

    cards: tuple[Card, ...]
    labels: Labels
    whole: bool = False

    @classmethod
    def of(cls, classifiers: Sequence[Classifier], labels: Labels, *, whole: bool = False) -> "Reader":
        """Make a reader for the models of a run."""
        return cls(tuple(classifier.card for classifier in classifiers), labels, whole)

    def __call__(self, item: Item, cases: Sequence[Case]) -> Image | Unusable:
        """Read, decode and fit one picture; what is wrong with it is an answer, not an exception."""
        source: Source = item.payload
        stat, digest, nbytes = looks(source.location), None, None
        try:
            data = read_bytes(source.location)
            digest, nbytes = hashlib.sha256(data).hexdigest(), len(data)
            picture = decode(data, source.path)
            seen = tuple(self._seen(picture, source, card) for card in self.cards)
        except ImageError as error:
            return Unusable(item, error.message, digest, nbytes, stat)
        whole = np.asarray(picture) if self.whole else None
        return Image(item, cases, digest, nbytes, stat, picture.size, seen, whole)

    def _seen(self, picture: Any, source: Source, card: Card) -> Seen:
        label, label_source = label_for(self.labels, source, lambda word: match(word, card.classes))
        how = card.preprocessing
        return Seen(fit(picture, how.size, how.resize, how.interpolation), label, label_source)


def items_of(sources: Iterable[Source]) -> list[Item]:
    """Make an item of each image."""
    return [Item(source.path, source.shown, source.location, source) for source in sources]


def read_ahead(
    todo: Todo, reader: Callable[[Item, Sequence[Case]], Image | Unusable], most: int
) -> Iterator[Image | Unusable]:
    """Read items in threads, in order, never more than ``most`` ahead of what is taken."""
    pool = ThreadPoolExecutor(_READERS, "reader")
    waiting: deque[Future[Image | Unusable]] = deque()
    try:
        for item, cases in todo:
            waiting.append(pool.submit(reader, item, cases))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def pixels_of(classifier: Classifier, images: Sequence[Image], model: int) -> Pixels:
    """Stack images as one model sees them: float32 (N, 3, H, W) in [0, 1] on its device."""
    stacked = torch.from_numpy(np.stack([image.seen[model].pixels for image in images]))
    return stacked.to(classifier.device).float() / 255


@dataclass(frozen=True)
class Clean:
    """One image under one model, before anything is done to it.

    Args:
        image: as read.
        classifier: the model.
        pixels: (3, H, W) in [0, 1].
        logits: (K,) in fp32.
        label: class that it is held against; the prediction where nothing else is known.
        label_source: see ``Seen``.
    """

    image: Image
    classifier: Classifier
    pixels: torch.Tensor
    logits: torch.Tensor
    label: int
    label_source: str

    @property
    def prediction(self) -> int:
        """Class with the highest logit."""
        return int(self.logits.argmax())

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.classifier.card.classes

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What every record says of an image under a model."""
        said = self.saw(self.logits)
        return {
            **self.image.facts,
            "model": self.classifier.card.name,
            "label": self.classes[self.label],
            "label_source": self.label_source,
            "prediction": said["top5"][0]["name"],
            **said,
        }

    @property
    def original_ending(self) -> str:
        """Name of the picture of what the model sees, behind the image's."""
        how = self.classifier.card.preprocessing  # two models may cut the same size out of different parts
        height, width = how.size
        return f"original-{width}x{height}-of-{how.resize}-{how.interpolation}.png"

    def alone(self) -> "Clean":
        """Give a copy for long keeping, which holds on to no other image of its group and to no whole photograph."""
        image = replace(self.image, picture=None)
        return replace(self, image=image, pixels=self.pixels.clone(), logits=self.logits.clone())

    def saw(self, logits: torch.Tensor) -> dict[str, Any]:
        """What the model says of pixels of this image by their logits (K,): probability, top5 and margin."""
        row = exact(logits)
        top = top5(row, self.classes)
        return {"probability": top[0]["probability"], "top5": top, "margin": lead(row, self.label)}


def look_at(classifier: Classifier, images: Sequence[Image], model: int) -> list[Clean]:
    """Classify images by one model, the ``model``-th of the run."""
    pixels = pixels_of(classifier, images, model)
    logits: Logits = classifier.logits(pixels)
    predicted = logits.argmax(1).tolist()
    looked = []
    for place, image in enumerate(images):
        seen = image.seen[model]
        label = predicted[place] if seen.label is None else seen.label
        looked.append(Clean(image, classifier, pixels[place], logits[place], label, seen.label_source))
    return looked


def top5(logits: np.ndarray, classes: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The five most probable classes of one image's logits (K,) in float64, the first of equals first.

    They are what a record makes its ``Top`` from, all at once, in a tenth of the time of making each here.
    """
    shifted = np.exp(logits - logits.max())
    probabilities = shifted / shifted.sum()
    best = np.argsort(-logits, kind="stable")[:_TOP]
    return tuple({"name": classes[place], "probability": float(probabilities[place])} for place in best)
