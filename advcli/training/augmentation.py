"""Random changes of whole batches of training images: flip, crop, rotate, cutout."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from advcli.core.quantities import number
from advcli.errors import UsageError

Augmentation = Callable[[Tensor, Generator], Tensor]
"""Takes images (N, 3, H, W) and the only source of its randomness, on the CPU; returns as many, changed."""


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image, left to right, with a chance of one half.

    Args:
        images: (N, 3, H, W), any dtype.
        generator: on the CPU.
    """
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def crop(images: Tensor, generator: Generator, margin: int = 4) -> Tensor:
    """Shift each image by a random number of pixels; what comes in at the border is black.

    Args:
        images: (N, 3, H, W), any dtype.
        generator: on the CPU.
        margin: largest shift in pixels, in each direction.

    Source: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2 (4 pixels for 32 x 32).
    """
    count, _, height, width = images.shape
    down, right = torch.randint(0, 2 * margin + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) + down)[:, :, None]  # (N, H, 1), places in the padded image
    columns = (torch.arange(width) + right)[:, None, :]  # (N, 1, W)
    padded = F.pad(images, (margin,) * 4)
    return padded[torch.arange(count)[:, None, None], :, rows, columns].movedim(-1, 1)


def rotate(images: Tensor, generator: Generator, degrees: float = 10.0) -> Tensor:
    """Turn each image about its center by a random angle; what comes in at the corners is black.

    Args:
        images: uint8 (N, 3, H, W).
        generator: on the CPU.
        degrees: largest angle, in either direction; values between pixels are interpolated linearly.
    """
    count, _, height, width = images.shape
    angle = (torch.rand(count, generator=generator) * 2 - 1) * math.radians(degrees)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros(count)
    # Coordinates run from -1 to 1 along both sides: in a rectangle the same number is not the same length along both.
    turn = torch.stack([cosine, -sine * height / width, zero, sine * width / height, cosine, zero], dim=1)
    grid = F.affine_grid(turn.view(count, 2, 3), list(images.shape), align_corners=False)
    turned = F.grid_sample(images.float(), grid, align_corners=False)
    return turned.round().clamp(0, 255).to(images.dtype)


def cutout(images: Tensor, generator: Generator, side: int = 16) -> Tensor:
    """Cover a square at a random place of each image with grey; near the border part of it lies outside.

    Args:
        images: uint8 (N, 3, H, W).
        generator: on the CPU.
        side: of the square, in pixels.

    Source: DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552, section 3.2 (16 pixels for CIFAR-10). They
        cover with zero after normalization, the mean of the data; 128 is near the mean of photographs.
    """
    count, _, height, width = images.shape
    top, left = (torch.randint(0, length, (count, 1), generator=generator) - side // 2 for length in (height, width))
    rows, columns = torch.arange(height) - top, torch.arange(width) - left
    inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None, :]
    return images.masked_fill(inside[:, None], 128)


_BY_NAME: dict[str, Callable[..., Tensor]] = {"flip": flip, "crop": crop, "rotate": rotate, "cutout": cutout}
_VALUES = {"crop": "margin", "rotate": "degrees", "cutout": "side"}
_IN_PIXELS = ("crop", "cutout")


def parse_augment(words: Sequence[str]) -> tuple[Augmentation, ...]:
    """Read names of augmentations, some with a value: ``flip``, ``crop=4``, ``rotate=10``, ``cutout=16``.

    Args:
        words: in the order in which the images are changed.

    Raises:
        UsageError: a name is not known, or its value is no number above 0.
    """
    return tuple(_parse(word) for word in words)


def _parse(word: str) -> Augmentation:
    name, equals, value = word.partition("=")
    if name not in _BY_NAME or (equals and name not in _VALUES):
        raise UsageError(f"--augment {word!r} is not known", "use flip, crop, rotate or cutout, such as rotate=10")
    if not equals:
        return _BY_NAME[name]
    try:
        amount = number(value)
    except ValueError:
        amount = 0.0
    if amount <= 0 or (name in _IN_PIXELS and amount != int(amount)):
        kind = "a whole number of pixels" if name in _IN_PIXELS else "a number of degrees"
        raise UsageError(f"--augment {word!r} does not give {kind} above 0", f"write --augment {name}=8")
    return partial(_BY_NAME[name], **{_VALUES[name]: int(amount) if name in _IN_PIXELS else amount})
