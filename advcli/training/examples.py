"""Labelled images in memory, and the parts that a training has of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_AT_A_TIME = 500  # images that a network is shown together when it is measured
_PIXELS = 2**21  # of them together, at most


@dataclass(frozen=True)
class Examples:
    """Labelled images.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        places: int64 (M,) of the images that are meant; by default all.
    """

    images: Tensor
    labels: Tensor
    places: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels) if self.places is None else len(self.places)

    def take(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Give some of the images, uint8 (C, 3, H, W), and their labels; ``chosen`` are int64 (C,) below the length."""
        places = chosen if self.places is None else self.places[chosen]
        return self.images[places], self.labels[places]

    def batches(self, places: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through some of the images in batches that fit into memory."""
        pixels = self.images.shape[2] * self.images.shape[3]
        for chosen in torch.split(places, max(1, min(_AT_A_TIME, _PIXELS // pixels))):
            yield self.take(chosen)


@dataclass(frozen=True)
class Parts:
    """What a training learns from, decides by, and is judged by.

    Args:
        train: to learn from.
        validation: whose loss decides about learning rates, stopping and the best epoch; none for none.
        test: measured after every epoch, and never decided by; none for none.
    """

    train: Examples
    validation: Examples | None = None
    test: Examples | None = None
