"""The sanity check by randomization: a network whose layers are drawn anew, from the top, one group after the other.

A map that stays as it was does not depend on what the network has learned.

Source: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292, section 3.1.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from advcli.core.randomness import RowNoise
from advcli.models.classifier import Classifier

STEPS = 8


@dataclass(frozen=True)
class Randomized:
    """A network of which some layers are random.

    Args:
        classifier: with the network; not to be kept beyond the step.
        share: of the layers that are random, in (0, 1].
        layer: name of the deepest of them.
    """

    classifier: Classifier
    share: float
    layer: str


def cascade(classifier: Classifier, seed: int, steps: int = STEPS) -> Iterator[Randomized]:
    """Draw every parameter anew, in groups of layers from the last that runs to the first.

    Each parameter is drawn from a normal distribution with the mean and the standard deviation that its tensor has, so
    that the signal keeps its size on the way. Tokens, position embeddings and other parameters that belong to no layer
    of their own are drawn with the module that uses them.

    Args:
        classifier: stays as it is; its network is copied.
        seed: of the run; with the fingerprint of the weights it keys the numbers.
        steps: at most; networks with fewer layers have as many steps as layers.

    Yields:
        The network after each step; the last has no learned parameter left.
    """
    network = copy.deepcopy(classifier.network)
    layers = _layers(classifier)
    groups = np.array_split(np.arange(len(layers)), min(steps, len(layers)))
    parameters = dict(network.named_parameters())
    for group in groups:
        for place in group:
            for name in layers[place][1]:
                _draw(parameters[name], classifier, seed, name)
        yield Randomized(classifier.with_network(network), float(group[-1] + 1) / len(layers), layers[group[-1]][0])


def _draw(parameter: nn.Parameter, classifier: Classifier, seed: int, name: str) -> None:
    old = parameter.detach().double()
    drawn = RowNoise.of(seed, [classifier.fingerprint], "randomized", name).normal(old.numel())[0].double()
    deviation = old.std(correction=0)
    with torch.no_grad():
        parameter.copy_((old.mean() + deviation * drawn.to(old).view_as(old)).to(parameter.dtype))


def _layers(classifier: Classifier) -> list[tuple[str, list[str]]]:
    """List the modules that use parameters with the names of these, the last that is called first."""
    order = _called(classifier)
    groups: dict[str, list[str]] = {}
    for name, _ in classifier.network.named_parameters():
        owner = name.rpartition(".")[0]
        while owner not in order and owner:  # a module that is never called itself, such as inside an attention
            owner = owner.rpartition(".")[0]
        groups.setdefault(owner, []).append(name)
    return sorted(groups.items(), key=lambda entry: -order[entry[0]])


def _called(classifier: Classifier) -> dict[str, int]:
    """Say of each module when it is called first."""
    order: dict[str, int] = {}

    def note(name: str) -> None:
        order.setdefault(name, len(order))

    handles = [
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: note(name))
        for name, module in classifier.network.named_modules()
    ]
    try:
        classifier.logits(_grey(classifier))
    finally:
        for handle in handles:
            handle.remove()
    return order


def _grey(classifier: Classifier) -> Tensor:
    return torch.full((1, 3, *classifier.card.preprocessing.size), 0.5, device=classifier.device)
