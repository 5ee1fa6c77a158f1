"""Masked pictures: the pixels of a picture ranked, a share of them kept, and the others filled with something else.

The fills are pictures of their own, on the grid of eight bits like the photograph, so that a masked picture can be
saved without loss: what the network judges is what is on the disk.
"""

from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advcli.core.blurring import blurred
from advcli.core.choices import Fill
from advcli.core.precision import wide
from advcli.core.randomness import RowNoise

Map = NDArray[np.float32]
Rank = NDArray[np.intp]


def ties(seed: int, sha256: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Draw the numbers that decide between pixels of equal value, and make the random order.

    Args:
        seed: of the run.
        sha256: of the picture's bytes.
        shape: (H, W).

    Returns:
        (H, W) in [0, 1), the same for every map of the picture.
    """
    drawn: NDArray[np.float64] = RowNoise.of(seed, [sha256], "order").uniform(*shape)[0].double().numpy()
    return drawn


def ranking(values: Map | None, ties: NDArray[np.float64]) -> Rank:
    """Rank the pixels of a picture, the most important first.

    A sort that leaves equal values in reading order would give a map that is flat in parts, such as that of Grad-CAM,
    the order of the rows for evidence. Here chance decides, always in the same way.

    Args:
        values: signed map (H, W): evidence against comes last. None for the random order.
        ties: (H, W), see ``ties``; of equal values the pixel with the smaller number comes first.

    Returns:
        (H, W), the place of each pixel, 0 for the first.
    """
    first = np.zeros(ties.size) if values is None else -values.astype(np.float64).ravel()
    rank = np.empty(ties.size, dtype=np.intp)
    rank[np.lexsort((ties.ravel(), first))] = np.arange(ties.size)
    return rank.reshape(ties.shape)


def count_of(share: float, pixels: int) -> int:
    """Say how many pixels a share is: the nearest whole number.

    Args:
        share: in [0, 1].
        pixels: of the picture.
    """
    return round(share * pixels)


def filling(fill: Fill, pixels: Tensor, seed: int, sha256: str) -> Tensor:
    """Make the picture whose pixels replace those that are not kept.

    Args:
        fill: ``zero``, black; ``mean``, the picture's own mean color; ``blur``, see ``core/blurring.py``;
            ``gaussian``, noise with the mean and the standard deviation of each of the picture's channels, cut to
            [0, 1]; ``uniform``, noise from all of [0, 1].
        pixels: (3, H, W) in [0, 1].
        seed: of the run.
        sha256: of the picture's bytes; with the seed it keys the noise.

    Returns:
        (3, H, W) in [0, 1], every value the nearest of k / 255.
    """
    exact = wide(pixels)
    mean = exact.mean((1, 2), keepdim=True)
    if fill == "zero":
        filled = torch.zeros_like(exact)
    elif fill == "mean":
        filled = mean.expand_as(exact)
    elif fill == "blur":
        filled = blurred(pixels[None])[0].to(exact)
    elif fill == "gaussian":
        drawn = RowNoise.of(seed, [sha256], "fill", fill).normal(*pixels.shape)[0].to(exact)
        filled = mean + exact.std((1, 2), keepdim=True, correction=0) * drawn
    elif fill == "uniform":
        filled = RowNoise.of(seed, [sha256], "fill", fill).uniform(*pixels.shape)[0].to(exact)
    else:
        assert_never(fill)
    return (filled.clamp(0, 1) * 255).round().float() / 255


def masked(pixels: Tensor, filled: Tensor, kept: NDArray[np.bool_]) -> Tensor:
    """Keep some pixels of a picture, all their channels, and take the others from its filling.

    Args:
        pixels: (3, H, W).
        filled: (3, H, W), see ``filling``.
        kept: (H, W).

    Returns:
        (3, H, W).
    """
    return torch.where(torch.from_numpy(kept).to(pixels.device), pixels, filled)
