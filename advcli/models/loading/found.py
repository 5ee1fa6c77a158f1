"""What a source of models hands over: a network, and what the source knows about it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from advcli.models.card import Preprocessing


@dataclass(frozen=True)
class Found:
    """A network as its source gave it.

    Args:
        network: with its weights, on the CPU.
        architecture: as a card names it.
        source: where the weights came from.
        preprocessing: input size and normalization; none where the source does not even know the size.
        normalization_known: whether the mean and std in ``preprocessing`` are the source's, and not merely absent.
        classes: names, in the order of the logits; none where the source has none.
        notes: what a user should be told, one sentence each.
    """

    network: nn.Module
    architecture: str
    source: str
    preprocessing: Preprocessing | None = None
    normalization_known: bool = False
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    """An architecture without weights, to be filled with random ones or a user's.

    Args:
        name: as a card names it.
        build: makes the network, with random weights, for a number of classes.
        classes: number of classes where nothing says another.
        preprocessing: input size; its mean and std are not known.
    """

    name: str
    build: Callable[[int], nn.Module]
    classes: int
    preprocessing: Preprocessing
