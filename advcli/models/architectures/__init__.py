"""Networks of our own, by the names that ``--arch`` takes; everything else comes from torchvision or timm."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from advcli.models.architectures.cifar_cnn8 import CifarCnn8
from advcli.models.architectures.cifar_resnet import CifarResNet


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    Args:
        build: makes the network, with random weights, for a number of classes.
        size: side of the square input, in pixels.
    """

    build: Callable[[int], nn.Module]
    size: int


def _resnet(depth: int) -> Architecture:
    return Architecture(partial(CifarResNet, depth), size=32)


ARCHITECTURES = {
    "cifar-resnet20": _resnet(20),
    "cifar-resnet32": _resnet(32),
    "cifar-resnet44": _resnet(44),
    "cifar-resnet56": _resnet(56),
    "cifar-cnn8": Architecture(CifarCnn8, size=32),
}
