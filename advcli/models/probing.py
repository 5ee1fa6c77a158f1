"""One probing pass through a network: which modules give a map, how it lies, and whether a gradient reaches it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

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


@dataclass(frozen=True)
class Probed:
    """A layer as the probing pass found it.

    Args:
        layer: that carries a map.
        output: of its last call, with its graph.
        passes_on: it is a dropout, which changes nothing here.
        ends: no module with weights runs after it.
        inside: it is a part of an attention module, such as the queries, keys and values.
    """

    layer: Layer
    output: Tensor
    passes_on: bool
    ends: bool
    inside: bool


def probe(classifier: Classifier) -> list[Probed]:
    """Find every module whose output is a map, with that output."""
    network, size = classifier.network, classifier.card.preprocessing.size
    with torch.enable_grad(), _outputs(network) as outputs:
        logits = network(probe_pixels(classifier))
    weighted = [place for place, (name, _) in enumerate(outputs) if _has_weights(network.get_submodule(name))]
    found = []
    for place, (name, output) in enumerate(outputs):
        later, module = outputs[place + 1 :], network.get_submodule(name)
        again = any(other == name for other, _ in later)  # watching a module keeps the output of its last call
        folded = any(known is output and isinstance(network.get_submodule(other), Folded) for other, known in later)
        layer = _as_layer(name, type(module).__name__, output, size)
        if layer is not None and not again and not folded:
            passes_on = isinstance(module, nn.Dropout | nn.Dropout2d)
            ends = not weighted or place >= weighted[-1]
            found.append(Probed(layer, output, passes_on, ends, _is_inside_attention(network, name)))
    return _listened(found, logits)


def probe_pixels(classifier: Classifier) -> Tensor:
    """One normalized picture (1, 3, H, W) whose gradient is tracked, to learn how a network is built.

    It is noise, not a flat grey: on a flat picture some networks have no gradient at all.
    """
    pixels = torch.rand(1, 3, *classifier.card.preprocessing.size, generator=torch.Generator().manual_seed(0))
    return classifier.normalize(pixels.to(classifier.device).requires_grad_())


def _is_inside_attention(network: nn.Module, name: str) -> bool:
    """Whether a module that holds this one is attention by its class's name, as ``ClassAttn`` in timm."""
    parts = name.split(".")[:-1]
    holders = [network.get_submodule(".".join(parts[: end + 1])) for end in range(len(parts))]
    return any(word in type(holder).__name__.lower() for holder in holders for word in ("attention", "attn"))


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


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
        grid = token_grid(shape[1], ratio)
        if grid is not None:
            prefix, height, width = grid
            return Layer(name, kind, shape[2], height, width, "tokens", prefix)
    return None


def token_grid(count: int, ratio: float) -> tuple[int, int, int] | None:
    """Lay tokens out as a map: how many stand before it, its height and its width; none where they are no map.

    Args:
        count: of the tokens.
        ratio: height of the picture divided by its width.
    """
    for prefix in range(min(9, count)):  # a class token and some registers at most
        height = round(math.sqrt((count - prefix) * ratio))
        width = (count - prefix) // max(height, 1)
        if height * width == count - prefix and min(height, width) > 1 and height == round(width * ratio, 9):
            return prefix, height, width
    return None


def _misfit(height: int, width: int, ratio: float) -> float:
    """How far two axes are from the picture's proportions; infinite for a single place, which is no map."""
    return abs(math.log(height / width / ratio)) if height * width > 1 else math.inf


def _listened(probed: Sequence[Probed], logits: Tensor) -> list[Probed]:
    """Mark the layers whose maps the logits do not depend on: a ViT's last block beside its class token."""
    if not probed:
        return []
    with torch.enable_grad():
        gradients = torch.autograd.grad(logits.square().sum(), [one.output for one in probed], allow_unused=True)
    return [
        replace(one, layer=replace(one.layer, silent=gradient is None or not bool(one.layer.spatial(gradient).any())))
        for one, gradient in zip(probed, gradients, strict=True)
    ]
