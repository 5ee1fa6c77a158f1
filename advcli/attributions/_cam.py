"""What the methods share that read a layer: activations and gradients, picture by picture, resized to the picture."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from advcli.core.precision import by_row
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer
from advcli.models.view import View


def class_activation(
    view: View, target: Target, layer: Layer, combine: Callable[[Tensor, Tensor], Tensor], *, relu: bool
) -> Maps:
    """Make a map of a layer's activations and their gradients.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: that is read.
        combine: activations and gradients of one picture, (1, C, h, w) each, to a map (1, h, w).
        relu: cut off what is negative before the map is resized.

    Returns:
        (N, H, W), float64.
    """
    gradient = view.watched_gradient(layer.name, target.cotangent(view.logits))

    def one(activation: Tensor, gradient: Tensor) -> Tensor:
        low = combine(activation, gradient)
        return resized(low.relu() if relu else low, view)

    return by_row(one, layer.spatial(view.watched(layer.name)), layer.spatial(gradient))


def resized(low: Tensor, view: View) -> Tensor:
    """Resize maps (N, h, w) to the pictures of a view, bilinearly with half-pixel centers: (N, H, W)."""
    return F.interpolate(low[:, None], view.pixels.shape[2:], mode="bilinear", align_corners=False)[:, 0]
