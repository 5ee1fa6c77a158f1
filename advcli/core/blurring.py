"""A blurred picture: the colors stay, what can be recognized goes.

Source: Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421, section 4.1, and their code: 11 x 11 values of a Gaussian
of 5 pixels. Theirs pads with zeros, which darkens the border; here the picture is mirrored.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, gaussian_filter1d

from advcli.core.shapes import Pixels

_WIDTH, _SIGMA = 11, 5.0  # pixels


def blurred(pixels: Pixels) -> Pixels:
    """Blur each picture, on the CPU in float64, rounded to float32 once.

    Args:
        pixels: (N, 3, H, W), of any size.

    Returns:
        (N, 3, H, W) on the same device, within the range of each picture.
    """
    exact = pixels.detach().cpu().double().numpy()
    for axis in (2, 3):
        exact = correlate1d(exact, _kernel(), axis, mode="reflect")
    return torch.from_numpy(exact).float().to(pixels.device).clamp(0, 1)


@cache
def _kernel() -> NDArray[np.float64]:
    """Give the weights along one axis, which sum to 1: what lies beyond the ends is mirrored back, as in the source."""
    point = np.zeros(_WIDTH)
    point[_WIDTH // 2] = 1
    weights: NDArray[np.float64] = gaussian_filter1d(point, _SIGMA)
    total: float = weights.sum()
    return weights / total
