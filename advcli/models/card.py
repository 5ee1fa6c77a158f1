"""What is known about a network besides its weights: its classes, and how a picture becomes its input."""

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes pixels, and how pixels are normalized.

    A picture that already has the input size is taken as it is: an adversarial PNG of ours, read again, gives the
    very pixels that were attacked.

    Args:
        size: (height, width) of the network's input, in pixels.
        resize: what the shorter side is resized to before a center crop to ``size``; at least the crop.
        interpolation: of the resize; always with antialiasing.
        mean: subtracted from pixels in [0, 1], per channel.
        std: divided by, per channel.
    """

    size: tuple[int, int]
    resize: int
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Card:
    """A network's description.

    Args:
        name: as the user named the model.
        architecture: ``cifar-resnet20``, ``torchvision:resnet18``, ``timm:NAME``, ``custom``...
        source: where the weights came from: a path, a weights enum's name, ``random``.
        classes: names, in the order of the logits, each once.
        classes_known: whether the names mean something (``False``: made up as "0", "1", ...).
        preprocessing: input size and normalization.
        notes: what a user should be told about the loading, one sentence each.
    """

    name: str
    architecture: str
    source: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    classes_known: bool = True
    notes: tuple[str, ...] = ()
