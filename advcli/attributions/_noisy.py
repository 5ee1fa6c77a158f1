"""Gradients at noisy versions of pictures, for the methods that take their mean, their squares or their variance."""

from collections.abc import Iterator

import torch
from torch import Tensor

from advcli.attributions._noise import SampleNoise
from advcli.core.precision import wide
from advcli.core.scores import Target
from advcli.models.view import View


def noisy_gradients(
    view: View, target: Target, noise: SampleNoise, samples: int, noise_level: float
) -> Iterator[tuple[slice, int, Tensor]]:
    """Differentiate the target's score at versions of every image with Gaussian noise.

    The noisy pixels are not clamped to [0, 1]: clamping would make the noise's mean depend on the image. The class is
    that of the image without noise.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        noise: random numbers of each image's samples.
        samples: noisy versions of each image.
        noise_level: standard deviation of the noise, as a share of the image's range: largest value minus smallest,
            over all channels.

    Yields:
        Images, the index of their sample, and its gradients (M, 3, H, W): an image's samples in ascending order.
    """
    pixels = wide(view.pixels)
    sigma = noise_level * (pixels.amax((1, 2, 3), keepdim=True) - pixels.amin((1, 2, 3), keepdim=True))

    def noisy(rows: Tensor, indices: Tensor) -> Tensor:
        drawn = noise.normal(rows, indices, *pixels.shape[1:])
        return torch.addcmul(pixels[rows], sigma[rows], drawn).to(view.pixels.dtype)

    for part in view.classifier.sweep(view.pixels, samples, noisy, bounded=False):
        found = part.gradient(target[part.rows].cotangent(part.logits))
        for here, rows, index in part.runs():
            yield rows, index, found[here]
