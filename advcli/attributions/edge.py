"""Edges: a control that asks no network, only where the picture is uneven.

A map that is no better than this one explains nothing.

Source: Sobel and Feldman 1968, "A 3x3 isotropic gradient operator for image processing"; as a control for saliency
maps: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292, section 3.3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.core.attribution import Traits
from advcli.core.precision import by_row, wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.view import View

TRAITS = Traits(class_free=True)

_ACROSS = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def edge(view: View, target: Target) -> Maps:
    """Take the length of the Sobel gradient of the mean of the channels.

    Args:
        view: of the images; the classifier is not looked at.
        target: not used; the map is the same for every class and score.

    Returns:
        (N, H, W), at least 0, in pixel value per pixel; the picture's border is repeated beyond it.
    """
    del target

    def one(pixels: Tensor) -> Tensor:
        across = pixels.new_tensor(_ACROSS) / 8
        kernels = torch.stack([across, across.T])[:, None]
        padded = F.pad(pixels.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, kernels).square().sum(1).sqrt()

    return by_row(one, wide(view.pixels))
