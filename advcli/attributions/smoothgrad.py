"""SmoothGrad: the gradient, averaged over noisy versions of the image.

Source: Smilkov et al. 2017, https://arxiv.org/abs/1706.03825, section 2.
"""

from typing import Annotated

import torch

from advcli.attributions._channels import Reduce, reduce_channels
from advcli.attributions._noise import SampleNoise
from advcli.attributions._noisy import noisy_gradients
from advcli.core.attribution import Traits
from advcli.core.precision import wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.view import View
from advcli.registry import Range

TRAITS = Traits(linear={"reduce": "sum"})


def smoothgrad(
    view: View,
    target: Target,
    *,
    noise: SampleNoise,
    samples: int = 25,
    noise_level: Annotated[float, Range(0, 10)] = 0.15,
    reduce: Reduce = "sum",
) -> Maps:
    """Average the signed gradient over samples with Gaussian noise.

    The noisy pixels are not clamped to [0, 1], as in the paper: clamping would make the noise's mean depend on the
    image. The class is that of the image without noise.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        noise: random numbers of each image's samples.
        samples: noisy versions of each image.
        noise_level: standard deviation of the noise, as a share of the image's range: largest value minus smallest,
            over all channels.
        reduce: how three channels of the mean become one map: sum keeps the sign, max takes the largest absolute
            value, l2 the Euclidean length.

    Returns:
        (N, H, W), score per unit of pixel value.
    """
    total = torch.zeros_like(wide(view.pixels))
    for rows, _, gradient in noisy_gradients(view, target, noise, samples, noise_level):
        total[rows] += gradient
    return reduce_channels(total / samples, reduce)
