"""The layers of a network that still have a place for every part of the picture, found by one probing pass."""

import fnmatch
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


@dataclass(frozen=True)
class Probed:
    """A layer as the probing pass found it.

    Args:
        layer: that carries a map.
        output: of its last call, with its graph.
        passes_on: it is a dropout, which changes nothing here.
        ends: no module with weights runs after it.
    """

    layer: Layer
    output: Tensor
    passes_on: bool
    ends: bool


def spatial_layers(classifier: Classifier) -> list[Layer]:
    """List the layers that can carry a map, in the order in which the network reaches their outputs.

    Of several modules that pass on one tensor (a block and its last ReLU) the outermost is listed.
    """
    return [one.layer for one in _outermost(_probe(classifier))]


def pick_layer(classifier: Classifier, name: str | None) -> Layer:
    """Find a layer by name, or by default the deepest one that can be read: most meaning, still a map.

    What only pools a map that an earlier layer holds at a finer grain is passed over (AlexNet, VGG), and so are the
    maps of the classes themselves, with nothing but pooling behind them (SqueezeNet).

    Raises:
        UsageError: the network has no such layer, or none that can be read.
    """
    model = classifier.card.name
    probed = _probe(classifier)
    if name is None:
        return _deepest(classifier, probed)
    for one in probed:
        if one.layer.name == name:
            return one.layer
    if any(name == known for known, _ in classifier.network.named_modules()):
        raise UsageError(
            f"layer {name!r} of {model} has no map in its output, or a batch norm was folded into it",
            f"see: advcli model layers {model}",
        )
    raise UsageError(f"{model} has no layer {name!r}", f"see: advcli model layers {model}")


def pick_layers(classifier: Classifier, names: str | None) -> tuple[Layer, ...]:
    """Find layers by names or patterns separated by commas, or by default the one that ``pick_layer`` finds.

    Args:
        classifier: the network that holds them.
        names: such as ``layer4`` or ``layer3.*,layer4.*``. A pattern stands for what it matches between two dots:
            ``layer3.*`` for ``layer3.0`` and ``layer3.1``, not for what is inside them. Of the layers that match, those
            that no gradient reaches are left out, and of several that pass on one tensor all but the outermost.

    Returns:
        The layers in the order of the names, each once.

    Raises:
        UsageError: a name or a pattern finds none.
    """
    if names is None:
        return (pick_layer(classifier, None),)
    found: dict[Layer, None] = {}
    for name in (part.strip() for part in names.split(",")):
        if any(mark in name for mark in "*?["):
            found |= dict.fromkeys(_matching(classifier, name))
        else:
            found[pick_layer(classifier, name)] = None
    return tuple(found)


def no_layer(classifier: Classifier) -> str | None:
    """Say why no layer of a network can be read, for methods that watch one; none where one can."""
    try:
        pick_layer(classifier, None)
    except UsageError as error:
        return f"{error.message}: {error.hint}"
    return None


def zero_head(network: nn.Module) -> str | None:
    """Name the network's last layer with weights if they are all zero, as those of an untrained ViT are."""
    weighted = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if weighted and not weighted[-1][1].weight.any():
        name, module = weighted[-1]
        return f"{name} ({type(module).__name__})"
    return None


def _matching(classifier: Classifier, pattern: str) -> list[Layer]:
    parts = pattern.split(".")
    probed = [
        one
        for one in _probe(classifier)
        if len(words := one.layer.name.split(".")) == len(parts)
        and all(fnmatch.fnmatchcase(word, part) for word, part in zip(words, parts, strict=True))
    ]
    layers = [one.layer for one in _outermost(probed)]
    model = classifier.card.name
    if not layers:
        raise UsageError(
            f"{model} has no layer with a map that matches {pattern!r}", f"see: advcli model layers {model}"
        )
    readable = [layer for layer in layers if not layer.silent]
    if not readable:
        raise UsageError(f"no gradient reaches the layers of {model} that match {pattern!r}", "name others")
    return readable


def _deepest(classifier: Classifier, probed: Sequence[Probed]) -> Layer:
    model = classifier.card.name
    listed = _outermost(probed)
    if not listed:
        raise UsageError(f"{model} has no layer with a map in it", "use a method that needs none, such as gradient")
    readable = [one for one in listed if not one.layer.silent]
    if not readable:
        head = zero_head(classifier.network)
        why = "" if head is None else f", because the weights of its head {head} are all zero"
        raise UsageError(
            f"no gradient reaches any layer of {model}{why}", "was it trained? load its weights, or use another model"
        )
    fitting = [
        one for one in readable if not _only_pools(one) and not _is_of_classes(one, len(classifier.card.classes))
    ]
    return (fitting or readable)[-1].layer


def _only_pools(one: Probed) -> bool:
    return "Pool" in type(one.output.grad_fn).__name__


def _is_of_classes(one: Probed, classes: int) -> bool:
    return one.ends and one.layer.channels == classes


def _outermost(probed: Sequence[Probed]) -> list[Probed]:
    """Leave out what passes on a tensor that another one stands for."""
    kept = []
    for place, one in enumerate(probed):
        before, after = probed[:place], probed[place + 1 :]
        idle = one.passes_on and any(other.output is one.output for other in before)
        if not idle and not any(other.output is one.output and not other.passes_on for other in after):
            kept.append(one)
    return kept


def _probe(classifier: Classifier) -> list[Probed]:
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
            found.append(Probed(layer, output, passes_on, ends=not weighted or place >= weighted[-1]))
    return _listened(found, logits)


def probe_pixels(classifier: Classifier) -> Tensor:
    """One normalized picture (1, 3, H, W) whose gradient is tracked, to learn how a network is built.

    It is noise, not a flat grey: on a flat picture some networks have no gradient at all.
    """
    pixels = torch.rand(1, 3, *classifier.card.preprocessing.size, generator=torch.Generator().manual_seed(0))
    return classifier.normalize(pixels.to(classifier.device).requires_grad_())


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
