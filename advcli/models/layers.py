"""The layers of a network that still have a place for every part of the picture, found by one probing pass."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from advcli.errors import UsageError
from advcli.models.classifier import Classifier
from advcli.models.folding import Folded

Layout = Literal["channels-first", "channels-last", "tokens"]


@dataclass(frozen=True)
class Layer:
    """A module whose output can be read as a map.

    Args:
        name: of the module.
        kind: of the module: ``Conv2d``, ``Sequential``, ``LayerNorm``...
        channels: of its output.
        height: of its output.
        width: of its output.
        layout: how the output is laid out: (N, C, h, w), (N, h, w, C), or (N, prefix + h * w, C).
        prefix: tokens before those of the picture (class token, registers).
        silent: no logit's gradient reaches the places of the map, so that nothing can be read from it.
    """

    name: str
    kind: str
    channels: int
    height: int
    width: int
    layout: Layout
    prefix: int = 0
    silent: bool = False

    def spatial(self, output: Tensor) -> Tensor:
        """Shape the module's output, or its gradient, as (N, C, h, w)."""
        if self.layout == "channels-first":
            return output
        if self.layout == "tokens":
            output = output[:, self.prefix :].reshape(len(output), self.height, self.width, -1)
        return output.movedim(-1, 1)


def spatial_layers(classifier: Classifier) -> list[Layer]:
    """List the layers that can carry a map, in the order in which the network reaches their outputs.

    Of several modules that pass on one tensor (a block and its last ReLU) the outermost is listed.
    """
    probed = _probe(classifier)
    return [layer for place, (layer, output) in enumerate(probed) if not _passed_on(output, probed[place + 1 :])]


def pick_layer(classifier: Classifier, name: str | None) -> Layer:
    """Find a layer by name, or by default the deepest one that can be read: most meaning, still a map.

    Raises:
        UsageError: the network has no such layer, or none that can be read.
    """
    model = classifier.card.name
    if name is None:
        return _deepest(spatial_layers(classifier), model)
    for layer, _ in _probe(classifier):
        if layer.name == name:
            return layer
    if any(name == known for known, _ in classifier.network.named_modules()):
        raise UsageError(
            f"layer {name!r} of {model} has no map in its output, or a batch norm was folded into it",
            f"see: advcli model layers {model}",
        )
    raise UsageError(f"{model} has no layer {name!r}", f"see: advcli model layers {model}")


def no_layer(classifier: Classifier) -> str | None:
    """Say why no layer of a network can be read, for methods that watch one; none where one can."""
    try:
        pick_layer(classifier, None)
    except UsageError as error:
        return f"{error.message}: {error.hint}"
    return None


def _deepest(layers: list[Layer], model: str) -> Layer:
    if not layers:
        raise UsageError(f"{model} has no layer with a map in it", "use a method that needs none, such as gradient")
    readable = [layer for layer in layers if not layer.silent]
    if not readable:
        raise UsageError(
            f"no gradient reaches any layer of {model}", "are its weights loaded? an untrained head is zero"
        )
    return readable[-1]


def _probe(classifier: Classifier) -> list[tuple[Layer, Tensor]]:
    """Find every module whose output is a map, with that output."""
    network, size = classifier.network, classifier.card.preprocessing.size
    # Noise, not a flat grey: on a flat picture some networks have no gradient at all.
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(classifier.device)
    with torch.enable_grad(), _outputs(network) as outputs:
        logits = network(classifier.normalize(pixels.requires_grad_()))
    found = []
    for place, (name, output) in enumerate(outputs):
        later = outputs[place + 1 :]
        again = any(other == name for other, _ in later)  # watching a module keeps the output of its last call
        folded = any(known is output and isinstance(network.get_submodule(other), Folded) for other, known in later)
        layer = _as_layer(name, type(network.get_submodule(name)).__name__, output, size)
        if layer is not None and not again and not folded:
            found.append((layer, output))
    return _listened(found, logits)


def _passed_on(output: Tensor, later: Sequence[tuple[Layer, Tensor]]) -> bool:
    return any(other is output for _, other in later)


@contextmanager
def _outputs(network: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    outputs: list[tuple[str, Tensor]] = []
    handles = []
    for name, module in network.named_modules():

        def keep(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                outputs.append((name, output))

        if name:
            handles.append(module.register_forward_hook(keep))
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _as_layer(name: str, kind: str, output: Tensor, size: tuple[int, int]) -> Layer | None:
    shape = tuple(output.shape)
    ratio = size[0] / size[1]
    if len(shape) == 4:
        first, last = _misfit(shape[2], shape[3], ratio), _misfit(shape[1], shape[2], ratio)
        if first <= last and first < 0.5:
            return Layer(name, kind, shape[1], shape[2], shape[3], "channels-first")
        if last < 0.5:
            return Layer(name, kind, shape[3], shape[1], shape[2], "channels-last")
    if len(shape) == 3:
        for prefix in range(min(9, shape[1])):  # a class token and some registers at most
            height = round(math.sqrt((shape[1] - prefix) * ratio))
            width = (shape[1] - prefix) // max(height, 1)
            if height * width == shape[1] - prefix and min(height, width) > 1 and height == round(width * ratio, 9):
                return Layer(name, kind, shape[2], height, width, "tokens", prefix)
    return None


def _misfit(height: int, width: int, ratio: float) -> float:
    """How far two axes are from the picture's proportions; infinite for a single place, which is no map."""
    return abs(math.log(height / width / ratio)) if height * width > 1 else math.inf


def _listened(layers: Sequence[tuple[Layer, Tensor]], logits: Tensor) -> list[tuple[Layer, Tensor]]:
    """Mark the layers whose maps the logits do not depend on: a ViT's last block beside its class token."""
    if not layers:
        return []
    outputs = [output for _, output in layers]
    with torch.enable_grad():
        gradients = torch.autograd.grad(logits.square().sum(), outputs, allow_unused=True)
    return [
        (replace(layer, silent=gradient is None or not bool(layer.spatial(gradient).any())), output)
        for (layer, output), gradient in zip(layers, gradients, strict=True)
    ]
