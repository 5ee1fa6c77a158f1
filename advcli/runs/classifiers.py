"""The classifiers of a run: loaded once per process, named apart, shown blocks of one size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from advcli.core.choices import Precision
from advcli.core.report import Report
from advcli.images.reading import decode, fit, read_bytes
from advcli.images.samples import samples
from advcli.images.sources import Source
from advcli.models.card import Card
from advcli.models.classifier import SMALLEST_STEADY, Classifier
from advcli.models.devices import pick_device
from advcli.models.loading import ModelRequest, load_network
from advcli.runs.command import RunConfig
from advcli.runs.preflight import drift

_LARGE = 64 * 64  # pixels; pictures of more than this cost so much that few of them go one by one
_PIXELS_IN_FLIGHT = {"cpu": 2**18, "cuda": 2**21, "mps": 2**19}
_MARGIN = 4  # times the measured drift that a picture must be misclassified by to count as saved
_MOST_IN_FLIGHT = {"cpu": 256, "cuda": 1024, "mps": 512}


@dataclass(frozen=True)
class ClassifierRequest:
    """A classifier as a worker can carry it to another process; small and picklable.

    Args:
        model: which network.
        name: of the model in this run, unique in it.
        device: where to compute.
        precision: of the passes that search.
        block: rows the network is shown at least or exactly; by default chosen by ``choose_block``.
        listed: items of the whole run, for that choice.
        classes: names for a network that came without any.
    """

    model: ModelRequest
    name: str
    device: str
    precision: str
    block: int | None
    listed: int
    classes: tuple[str, ...] | None = None


@lru_cache(maxsize=8)
def classifier_for(request: ClassifierRequest) -> Classifier:
    """Load a classifier, once per process."""
    network, card = load_network(request.model)
    card = replace(card, name=request.name)
    if request.classes is not None and not card.classes_known and len(request.classes) == len(card.classes):
        note = "class names are those of the folders, sorted"
        card = replace(card, classes=request.classes, classes_known=True, notes=(*card.notes, note))
    device = torch.device(request.device)
    block = request.block or choose_block(request.listed, card.preprocessing.size, device)
    return prepared(network, card, device, request.precision, block)  # type: ignore[arg-type]


def prepared(network: nn.Module, card: Card, device: torch.device, precision: Precision, block: int) -> Classifier:
    """Make a classifier, and measure how far its kernels move a logit.

    Args:
        network: in evaluation mode; its parameters are frozen.
        card: of the network.
        device: where to compute.
        precision: of the passes that search.
        block: rows the network is shown at least or exactly.
    """
    classifier = Classifier(network, card, device=device, precision=precision, block=block)
    classifier.drift = drift(classifier, network, _photographs(classifier)) if classifier.folded else 0.0
    classifier.certainty = max(classifier.certainty, _MARGIN * classifier.drift)
    return classifier


def _photographs(classifier: Classifier) -> torch.Tensor:
    """The built-in photographs as the model sees them: real pixels, the same for every run of the model."""
    how = classifier.card.preprocessing
    pictures = [decode(read_bytes(source.location), source.path) for source in samples()]
    seen = [fit(picture, how.size, how.resize, how.interpolation) for picture in pictures]
    return torch.from_numpy(np.stack(seen)).to(classifier.device).float() / 255


def choose_block(listed: int, size: tuple[int, int], device: torch.device) -> int:
    """Choose how many rows the network is shown at least.

    Args:
        listed: items of the whole run, before shards and resumption.
        size: (height, width) of the input.
        device: where to compute.

    Returns:
        On a CPU 16, from which results no longer depend on the batch size; but 1 for a few large pictures, because
        filling a block with repeats of one photograph would cost sixteen times the work.
    """
    pixels = size[0] * size[1]
    if device.type != "cpu":
        return min(128, default_batch_size(size, device))
    return 1 if listed < SMALLEST_STEADY and pixels > _LARGE else SMALLEST_STEADY


def default_batch_size(size: tuple[int, int], device: torch.device) -> int:
    """Rows in flight by default, a power of two."""
    fitting = _PIXELS_IN_FLIGHT[device.type] // (size[0] * size[1])
    return max(SMALLEST_STEADY, min(_MOST_IN_FLIGHT[device.type], 1 << max(fitting, 1).bit_length() - 1))


def requests_for(
    models: Sequence[ModelRequest], sources: Sequence[Source], config: RunConfig, before: Report | None
) -> list[ClassifierRequest]:
    """Plan the classifiers of a run over images, the first model of the run first.

    Args:
        models: as the user named them.
        sources: images of the run.
        config: of the run.
        before: report of the run that is continued, whose block and first model are kept, or none.
    """
    device = str(pick_device(config.device))
    block = config.block or (before.block if before else None)
    classes = folder_classes(sources)
    requests = [
        ClassifierRequest(model, name, device, config.precision, block, len(sources), classes)
        for model, name in zip(models, model_names(models), strict=True)
    ]
    if before is not None and before.models:
        requests.sort(key=lambda request: request.name != before.models[0].name)
    return requests


def model_names(models: Sequence[ModelRequest]) -> list[str]:
    """Name the models of a run: a file by its stem, told apart by its folders where two are alike."""
    names = [_plain_name(model.name, 0) for model in models]
    for depth in range(1, 8):
        twice = {name for name in names if names.count(name) > 1}
        names = [
            _plain_name(model.name, depth) if name in twice else name for model, name in zip(models, names, strict=True)
        ]
    return names


def folder_classes(sources: Sequence[Source]) -> tuple[str, ...] | None:
    """Name classes by the folders that the images lie in, for a network that came without names."""
    names = sorted({source.location.absolute().parent.name for source in sources})
    return tuple(names) if len(names) > 1 else None


def first_name(classifiers: Sequence[Classifier], before: Report | None) -> str:
    """Name the first model of a run, which ids of cases leave out."""
    return before.models[0].name if before is not None and before.models else classifiers[0].card.name


def _plain_name(name: str, depth: int) -> str:
    path = Path(name)
    if path.suffix in {".safetensors", ".pt", ".pth", ".th", ".pt2", ".pkl", ".ckpt", ".bin"}:
        return "/".join([*path.absolute().parts[-1 - depth : -1], path.stem]) if depth else path.stem
    return name
