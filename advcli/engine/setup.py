"""What every command over images is told: which images, which classifier, where to, and who listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch

from advcli.core.results import Record
from advcli.images.labels import Labels
from advcli.images.sources import Source
from advcli.models.classifier import SMALLEST_STEADY, Classifier, Precision
from advcli.models.devices import pick_device
from advcli.models.loading import ModelRequest, load_network

_LARGE = 64 * 64  # pixels; pictures of more than this are dear enough to go one by one when there are few
_PIXELS_IN_FLIGHT = {"cpu": 2**17, "cuda": 2**21, "mps": 2**19}
_MOST_IN_FLIGHT = {"cpu": 128, "cuda": 1024, "mps": 512}


class Listener(Protocol):
    """Hears how a run goes; the command line shows it."""

    def begin(self, total: int, done: int) -> None:
        """``total`` images are listed, ``done`` of them were finished before."""
        ...

    def record(self, record: Record) -> None:
        """One more record is on disk."""
        ...

    def warn(self, text: str) -> None:
        """Something looks wrong; the run goes on."""
        ...


class Silence:
    """Nobody listens."""

    def begin(self, total: int, done: int) -> None:
        """Pass over it."""

    def record(self, record: Record) -> None:
        """Pass over it."""

    def warn(self, text: str) -> None:
        """Pass over it."""


@dataclass(frozen=True)
class Setup:
    """The part of a command that does not depend on which command it is.

    Args:
        sources: the images, as listed.
        out: folder of the run.
        model: which network.
        labels: where labels come from.
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        precision: of the passes that search; what they find is judged in fp32.
        block: rows the network is shown at least or exactly; by default chosen by ``choose_block``.
        batch_size: images in flight; by default as many as suit the device. Changes speed and memory, never a result.
        seed: of all randomness.
        overwrite: throw away what another run left in ``out``.
        panels: draw a panel for every image.
        command_line: as typed.
        listener: hears how it goes.
    """

    sources: Sequence[Source]
    out: Path
    model: ModelRequest = field(default_factory=ModelRequest)
    labels: Labels = field(default_factory=lambda: Labels("auto"))
    device: str = "auto"
    precision: Precision = "fp32"
    block: int | None = None
    batch_size: int | None = None
    seed: int = 0
    overwrite: bool = False
    panels: bool = True
    command_line: str = ""
    listener: Listener = field(default_factory=Silence)


@dataclass(frozen=True)
class ClassifierRequest:
    """A classifier as a work can carry it to another process.

    Args:
        model: which network.
        device: where to compute.
        precision: of the passes that search.
        block: rows the network is shown at least or exactly; by default chosen by ``choose_block``.
        listed: images of the whole run, for that choice.
        classes: names for a network that came without any.
    """

    model: ModelRequest
    device: str
    precision: Precision
    block: int | None
    listed: int
    classes: tuple[str, ...] | None = None


@lru_cache(maxsize=4)
def classifier_for(request: ClassifierRequest) -> Classifier:
    """Load a classifier, once per process."""
    network, card = load_network(request.model)
    if request.classes is not None and not card.classes_known and len(request.classes) == len(card.classes):
        note = "class names are those of the folders, sorted"
        card = replace(card, classes=request.classes, classes_known=True, notes=(*card.notes, note))
    device = torch.device(request.device)
    block = request.block or choose_block(request.listed, card.preprocessing.size, device)
    return Classifier(network, card, device=device, precision=request.precision, block=block)


def choose_block(listed: int, size: tuple[int, int], device: torch.device) -> int:
    """Choose how many rows the network is shown at least.

    Args:
        listed: images of the whole run, before shards and resumption.
        size: (height, width) of the input.
        device: where to compute.

    Returns:
        On a CPU 16, from which results no longer depend on the batch size; but 1 for a few large pictures, which go
        alone: sixteen times the work to keep one photograph's last bits steady would be a poor bargain.
    """
    pixels = size[0] * size[1]
    if device.type != "cpu":
        return min(128, in_flight(size, device))
    return 1 if listed < SMALLEST_STEADY and pixels > _LARGE else SMALLEST_STEADY


def in_flight(size: tuple[int, int], device: torch.device) -> int:
    """Images to have in flight by default, a power of two."""
    fitting = _PIXELS_IN_FLIGHT[device.type] // (size[0] * size[1])
    return max(SMALLEST_STEADY, min(_MOST_IN_FLIGHT[device.type], 1 << max(fitting, 1).bit_length() - 1))


def folder_classes(sources: Sequence[Source]) -> tuple[str, ...] | None:
    """Name classes by the folders that the images lie in, for a network that came without names."""
    names = sorted({source.location.absolute().parent.name for source in sources})
    return tuple(names) if len(names) > 1 else None


def prepare(setup: Setup, before: Mapping[str, Any] | None) -> tuple[ClassifierRequest, Classifier, int]:
    """Load the classifier of a run.

    Args:
        setup: of the run.
        before: report of the run that is continued, whose block is kept however many images are added; or none.

    Returns:
        The request that loads the same classifier elsewhere, the classifier, and the number of images in flight.
    """
    device = pick_device(setup.device)
    block = setup.block or (before or {}).get("block")
    names = folder_classes(setup.sources)
    request = ClassifierRequest(setup.model, str(device), setup.precision, block, len(setup.sources), names)
    classifier = classifier_for(request)
    return request, classifier, setup.batch_size or in_flight(classifier.card.preprocessing.size, device)
