"""Classifiers to attack and to explain from Python."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import nn

from advcli.core.choices import Precision
from advcli.errors import UsageError
from advcli.models.card import Preprocessing
from advcli.models.classifier import Classifier
from advcli.models.devices import pick_device
from advcli.models.loading import ModelRequest, load_network
from advcli.models.loading.describing import describe
from advcli.models.loading.found import Found
from advcli.models.zoo import DEFAULT
from advcli.runs.classifiers import choose_block, prepared

Channels: TypeAlias = tuple[float, float, float]
_MANY = 1 << 30  # images: results are to be the same for any number of them


@dataclass(frozen=True, eq=False)
class Unsized:
    """A module whose input size the first images will tell.

    Args:
        network: in evaluation mode.
        mean: subtracted from pixels, per channel.
        std: divided by, per channel.
        classes: names, or none.
        device: where to compute.
        precision: of the passes that search.
    """

    network: nn.Module
    mean: Channels | None
    std: Channels | None
    classes: tuple[str, ...] | None
    device: str
    precision: Precision
    _known: dict[tuple[int, int], Classifier] = field(default_factory=dict)

    def sized(self, height: int, width: int) -> Classifier:
        """Make the classifier of pictures of a size, once for each size."""
        if (height, width) not in self._known:
            self._known[height, width] = self._made(height, width)
        return self._known[height, width]

    def _made(self, height: int, width: int) -> Classifier:
        name = type(self.network).__name__
        network = copy.deepcopy(self.network).cpu().eval()
        seen = Preprocessing((height, width), min(height, width))
        found = Found(network, name, "memory", preprocessing=seen, classes=self.classes)
        card = describe(ModelRequest(name, mean=self.mean, std=self.std), found)
        device = pick_device(self.device)
        return prepared(network, card, device, self.precision, choose_block(_MANY, (height, width), device))


def load(
    model: nn.Module | str = DEFAULT,
    *,
    arch: str | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
    size: int | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    trust: bool = False,
) -> Classifier | Unsized:
    """Load a classifier to attack and to explain.

    Args:
        model: a module that maps pixels (N, 3, H, W) to logits (N, K), which is left as it is; or whatever ``--model``
            takes on the command line.
        arch: architecture of a state dict, as for ``--arch``.
        mean: what the network wants subtracted from pixels in [0, 1], per channel; by default nothing, or what the
            model's source knows.
        std: what it wants them divided by.
        size: side of the square input in pixels; of a module by default that of the images.
        classes: names of a module's classes; by default "0", "1", ...
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        precision: ``fp32``, ``bf16`` or ``fp16`` for the passes that search; what they find is judged in fp32.
        trust: let code inside the model's file run.

    Raises:
        UsageError: an option has no meaning for the model, or a value that it cannot have.
        ModelError: the model cannot be loaded, or is no classifier of RGB pictures.
    """
    if isinstance(model, nn.Module):
        if arch is not None or trust:
            raise UsageError("a module in memory takes neither arch nor trust", "leave them out")
        named = None if classes is None else tuple(classes)
        unsized = Unsized(model, mean, std, named, device, precision)
        return unsized if size is None else unsized.sized(size, size)
    if classes is not None:
        raise UsageError(f"{model} brings its class names", "classes are for a module in memory")
    network, card = load_network(ModelRequest(model, arch, mean=mean, std=std, size=size, trust=trust))
    chosen = pick_device(device)
    return prepared(network, card, chosen, precision, choose_block(_MANY, card.preprocessing.size, chosen))
