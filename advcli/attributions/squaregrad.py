"""SquareGrad: the squared gradient, averaged over noisy versions of the image.

Source: Hooker et al. 2019, https://arxiv.org/abs/1806.10758, section 4.1 (SmoothGrad-Squared).
"""

from typing import Annotated, Literal

import torch

from advcli.attributions._channels import reduce_channels
from advcli.attributions._noise import SampleNoise
from advcli.attributions._noisy import noisy_gradients
from advcli.core.attribution import Traits
from advcli.core.precision import wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.view import View
from advcli.registry import Range

TRAITS = Traits()


def squaregrad(
    view: View,
    target: Target,
    *,
    noise: SampleNoise,
    samples: int = 25,
    noise_level: Annotated[float, Range(0, 10)] = 0.15,
    reduce: Literal["sum", "max"] = "sum",
) -> Maps:
    """Average the squared gradient over samples with Gaussian noise: where a small change matters, in either direction.

    Some libraries call this SmoothGrad. It has no sign: the map of the loss is that of the log-probability.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        noise: random numbers of each image's samples.
        samples: noisy versions of each image.
        noise_level: standard deviation of the noise, as a share of the image's range: largest value minus smallest,
            over all channels.
        reduce: how three channels become one map: their sum, or the largest.

    Returns:
        (N, H, W), at least 0, in squared score per squared unit of pixel value.
    """
    total = torch.zeros_like(wide(view.pixels))
    for rows, _, gradient in noisy_gradients(view, target, noise, samples, noise_level):
        total[rows] += gradient.square()
    return reduce_channels(total / samples, reduce)
