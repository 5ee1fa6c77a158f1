"""The layers of a network that still have a place for every part of the picture: listed, named, chosen."""

import fnmatch
from collections.abc import Sequence

from torch import nn

from advcli.errors import UsageError
from advcli.models.classifier import Classifier
from advcli.models.probing import Layer, Probed, probe

__all__ = ["Layer", "no_layer", "pick_layer", "pick_layers", "spatial_layers", "zero_head"]


def spatial_layers(classifier: Classifier) -> list[Layer]:
    """List the layers that can carry a map, in the order in which the network reaches their outputs.

    Of several modules that pass on one tensor (a block and its last ReLU) the outermost is listed.
    """
    return [one.layer for one in _outermost(probe(classifier))]


def pick_layer(classifier: Classifier, name: str | None) -> Layer:
    """Find a layer by name, or by default the deepest one that can be read: most meaning, still a map.

    What only pools a map that an earlier layer holds at a finer grain is passed over (AlexNet, VGG), and so are the
    maps of the classes themselves, with nothing but pooling behind them (SqueezeNet).

    Raises:
        UsageError: the network has no such layer, or none that can be read.
    """
    model = classifier.card.name
    probed = probe(classifier)
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
        for one in probe(classifier)
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
    classes = len(classifier.card.classes)
    fitting = [one for one in readable if not (one.inside or _only_pools(one) or _is_of_classes(one, classes))]
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
