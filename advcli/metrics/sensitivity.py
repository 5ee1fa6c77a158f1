"""Max-sensitivity: how much a map changes under noise that nobody sees.

Source: Yeh et al. 2019, https://arxiv.org/abs/1901.09392, definition 2.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from advcli.core.randomness import RowNoise
from advcli.core.shapes import Pixels

SAMPLES = 10
RADIUS = 0.02  # in pixel units
Maps = NDArray[np.float32]


def max_sensitivity(
    explain: Callable[[Pixels], Maps],
    pixels: Pixels,
    maps: Maps,
    seed: int,
    digests: Sequence[str],
    samples: int = SAMPLES,
    radius: float = RADIUS,
) -> NDArray[np.float64]:
    """Explain noisy versions of each image, and take the largest change of the map.

    Args:
        explain: makes maps (N, H, W) of pixels (N, 3, H, W), always of the same class.
        pixels: (N, 3, H, W) in [0, 1].
        maps: (N, H, W), of the images themselves.
        seed: of the run.
        digests: SHA-256 of each image's bytes.
        samples: noisy versions of each image; their pixels are cut to [0, 1].
        radius: the noise is uniform in [-radius, radius], in pixel units.

    Returns:
        (N,) Euclidean length of the largest change over that of the map; NaN where the map is blank.
    """
    noise = RowNoise.of(seed, digests, "sensitivity")
    exact = maps.astype(np.float64)
    largest = np.zeros(len(maps))
    for _ in range(samples):
        moved = (pixels + radius * (2 * noise.uniform(*pixels.shape[1:]).to(pixels) - 1)).clamp(0, 1)
        change = explain(moved).astype(np.float64) - exact
        largest = np.maximum(largest, np.sqrt((change * change).sum((1, 2))))
    length = np.sqrt((exact * exact).sum((1, 2)))
    return np.where(length > 0, largest / np.where(length > 0, length, 1), np.nan)
