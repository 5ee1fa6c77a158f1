"""HiResCAM: the activations of a deep layer times their gradients, place by place.

Source: Draelos and Carin 2020, https://arxiv.org/abs/2011.08891, section 3.
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


def hires_cam(view: View, target: Target, *, layer: Layer, relu: bool = True) -> Maps:
    """Multiply a layer's activations by their own gradients and add up the channels.

    Grad-CAM averages the gradient over the map first, so it can point at places that the score does not depend on. For
    a network that averages this layer and weights its channels, the two are the same.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: that is read; by default the deepest that is still a map.
        relu: keep only evidence for the class; otherwise evidence against it is negative.

    Returns:
        (N, H, W), resized to the picture bilinearly (half-pixel centers); all zero where there is no evidence.
    """
    return class_activation(view, target, layer, _combine, relu=relu)


def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
    return (gradient * activation).sum(1)
