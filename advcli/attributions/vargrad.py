"""VarGrad: the variance of the gradient over noisy versions of the image.

Source: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292, appendix.
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


def vargrad(
    view: View,
    target: Target,
    *,
    noise: SampleNoise,
    samples: Annotated[int, Range(2, 1_000_000)] = 25,
    noise_level: Annotated[float, Range(0, 10)] = 0.15,
    reduce: Literal["sum", "max"] = "sum",
) -> Maps:
    """Take the variance of the gradient over samples with Gaussian noise: where the score is bent.

    It is the mean square of the deviations from the mean, which is carried along (Welford 1962). As the difference of
    two means it would be lost to rounding, and can come out negative, where the gradient hardly changes.

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
    mean = torch.zeros_like(wide(view.pixels))
    squares = torch.zeros_like(mean)
    for rows, index, gradient in noisy_gradients(view, target, noise, samples, noise_level):
        before = gradient - mean[rows]
        mean[rows] += before / (index + 1)
        squares[rows] += before * (gradient - mean[rows])
    return reduce_channels(squares / samples, reduce)
