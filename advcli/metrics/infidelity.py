"""Infidelity: whether a map says by how much the score falls when a part of the picture is covered.

Source: Yeh et al. 2019, https://arxiv.org/abs/1901.09392, section 2 (squares that are removed). Maps differ in their
units, so the map is rescaled by the best factor: https://github.com/pytorch/captum/issues/613.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.randomness import RowNoise
from advcli.core.scores import Target
from advcli.core.shapes import Pixels
from advcli.models.classifier import Classifier

SQUARES = 50
_SMALLEST, _LARGEST = 8, 2  # the side of a square is an eighth to a half of the picture's shorter side


def squares(seed: int, digests: Sequence[str], size: tuple[int, int], count: int = SQUARES) -> NDArray[np.bool_]:
    """Draw squares in random places.

    Args:
        seed: of the run.
        digests: SHA-256 of each image's bytes.
        size: (H, W) of the images.
        count: of each image.

    Returns:
        (N, count, H, W), true inside a square.
    """
    height, width = size
    noise = RowNoise.of(seed, digests, "squares")
    least, most = (max(1, min(size) // part) for part in (_SMALLEST, _LARGEST))
    sides = least + noise.integers(most - least + 1, count)
    drawn = [noise.uniform(count) for _ in range(2)]
    tops, lefts = (
        (one * (length - sides + 1)).long().numpy() for one, length in zip(drawn, (height, width), strict=True)
    )
    side = sides.numpy()[:, :, None]
    down, across = np.arange(height), np.arange(width)
    rows = (down >= tops[:, :, None]) & (down < tops[:, :, None] + side)
    columns = (across >= lefts[:, :, None]) & (across < lefts[:, :, None] + side)
    return np.asarray(rows[:, :, :, None] & columns[:, :, None, :])


def falls(
    classifier: Classifier, pixels: Pixels, cover: Pixels, target: Target, regions: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Measure by how much the score falls when each region is covered.

    Args:
        classifier: what looks.
        pixels: (N, 3, H, W) in [0, 1].
        cover: (N, 3, H, W) in [0, 1], what covers.
        target: class and score of each image.
        regions: (N, R, H, W).

    Returns:
        (N, R), float64.
    """
    inside = torch.from_numpy(regions).to(pixels.device)

    def covered(rows: Tensor, indices: Tensor) -> Tensor:
        return torch.where(inside[rows, indices][:, None], cover[rows], pixels[rows])

    whole = target.value(classifier.look(pixels, gradient=False).logits)
    found = wide(torch.zeros(regions.shape[:2], device=pixels.device))
    for part in classifier.sweep(pixels, regions.shape[1], covered, graph=False):
        found[part.rows, part.indices] = whole[part.rows] - target[part.rows].value(part.logits)
    return found.cpu().numpy()


def infidelity(values: NDArray[np.float32], regions: NDArray[np.bool_], falls: NDArray[np.float64]) -> float | None:
    """Compare what a map says of some regions with what covering them does.

    Args:
        values: signed map (H, W), in any units.
        regions: (R, H, W).
        falls: (R,) of the score when each is covered.

    Returns:
        The mean square of what the map, times the positive factor that suits it best, leaves unexplained of the falls,
        as a share of their mean square: 0 for a map whose sums over the regions are in proportion to the falls, 1 for
        one that says nothing. None where covering does nothing.
    """
    said = (regions * values.astype(np.float64)).sum((1, 2))
    power = float((falls * falls).sum())
    if not power:
        return None
    square = float((said * said).sum())
    explained = max(0.0, float((said * falls).sum())) ** 2 / square if square else 0.0
    return max(0.0, 1 - explained / power)
