"""Grad-CAM: the channels of a deep layer, weighted by how much the score depends on each.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, section 3.
"""

import torch.nn.functional as F
from torch import Tensor

from advcli.core.attribution import Traits
from advcli.core.precision import by_row
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer, no_layer
from advcli.models.view import View

TRAITS = Traits(watches="layer", linear={"relu": False})

refusal = no_layer


def grad_cam(view: View, target: Target, *, layer: Layer, relu: bool = True) -> Maps:
    """Weight a layer's channels by their mean gradient and add them up.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: whose channels are weighted; by default the deepest that is still a map.
        relu: keep only evidence for the class, as the paper does; otherwise evidence against it is negative.

    Returns:
        (N, H, W), resized to the picture bilinearly (half-pixel centers); all zero where there is no evidence.
    """
    gradient = view.watched_gradient(layer.name, target.cotangent(view.logits))

    def one(activation: Tensor, gradient: Tensor) -> Tensor:
        weights = gradient.mean((2, 3), keepdim=True)
        low = (weights * activation).sum(1, keepdim=True)
        low = low.relu() if relu else low
        return F.interpolate(low, view.pixels.shape[2:], mode="bilinear", align_corners=False)[:, 0]

    return by_row(one, layer.spatial(view.watched(layer.name)), layer.spatial(gradient))
