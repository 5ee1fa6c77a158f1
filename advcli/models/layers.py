"""The layers of a network that still have a place for every part of the picture, found by one probing pass."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from advcli.errors import UsageError
from advcli.models.classifier import Classifier

Layout = Literal["channels-first", "channels-last", "tokens"]


@dataclass(frozen=True)
class Layer:
    """A module whose output can be read as a map.

    Args:
        name: of the module.
        kind: of the module: ``Conv2d``, ``Sequential``, ``LayerNorm``...
        channels: of its output.
        height: of its output.
        width: likewise.
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
    network = classifier.network
    size = classifier.card.preprocessing.size
    # Noise, not a flat grey: on a flat picture some networks have no gradient at all.
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(classifier.device)
    with torch.enable_grad(), _outputs(network) as outputs:
        logits = classifier.network(classifier.normalize(pixels.requires_grad_()))
    layers = []
    for place, (name, output) in enumerate(outputs):
        if any(later is output for _, later in outputs[place + 1 :]):
            continue
        layer = _as_layer(name, type(network.get_submodule(name)).__name__, output, size)
        if layer is not None:
            layers.append(_listen(layer, logits, output))
    return layers


def pick_layer(classifier: Classifier, name: str | None) -> Layer:
    """Find a layer by name, or by default the deepest one that can be read: most meaning, still a map.

    Raises:
        UsageError: the network has no such layer, or none that can be read.
    """
    layers = spatial_layers(classifier)
    model = classifier.card.name
    if name is None:
        readable = [layer for layer in layers if not layer.silent]
        if not readable:
            raise UsageError(
                f"{model} has no layer with a map in it", "use a method that needs no layer, such as gradient"
            )
        return readable[-1]
    for layer in layers:
        if layer.name == name:
            return layer
    if any(name == known for known, _ in classifier.network.named_modules()):
        raise UsageError(f"layer {name!r} of {model} has no map in its output", f"see: advcli model layers {model}")
    raise UsageError(f"{model} has no layer {name!r}", f"see: advcli model layers {model}")


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
    if len(shape) == 4 and _is_map(shape[2], shape[3], ratio):
        return Layer(name, kind, shape[1], shape[2], shape[3], "channels-first")
    if len(shape) == 4 and _is_map(shape[1], shape[2], ratio):
        return Layer(name, kind, shape[3], shape[1], shape[2], "channels-last")
    if len(shape) == 3:
        side = math.isqrt(shape[1])
        prefix = shape[1] - side * side
        if side > 1 and prefix <= 8 and ratio == 1:  # a class token and some registers at most
            return Layer(name, kind, shape[2], side, side, "tokens", prefix)
    return None


def _is_map(height: int, width: int, ratio: float) -> bool:
    return height * width > 1 and abs(math.log(height / width / ratio)) < 0.5


def _listen(layer: Layer, logits: Tensor, output: Tensor) -> Layer:
    """Mark a layer whose map the logits do not depend on: a ViT's last block beside its class token."""
    try:
        (gradient,) = torch.autograd.grad(logits.square().sum(), output, retain_graph=True, allow_unused=True)
    except RuntimeError:  # overwritten in place after the module ran; watching clones, so it can still be read
        return layer
    silent = gradient is None or not bool(layer.spatial(gradient).any())
    return Layer(**{**layer.__dict__, "silent": silent})
