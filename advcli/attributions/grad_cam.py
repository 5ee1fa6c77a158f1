"""Grad-CAM: the channels of a deep layer, weighted by how much the score depends on each.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, section 3.
"""

from torch import Tensor

from advcli.attributions._cam import class_activation
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer, no_layer
from advcli.models.view import View

TRAITS = Traits(watches="layer", linear={"relu": False}, differentiable=True)

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
    return class_activation(view, target, layer, _combine, relu=relu)


def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1)
