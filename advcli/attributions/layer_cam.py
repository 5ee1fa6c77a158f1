"""LayerCAM: the activations of a layer times the positive part of their gradients, also at earlier layers.

Source: Jiang et al. 2021, https://doi.org/10.1109/TIP.2021.3089943, section III.
"""

from torch import Tensor

from advcli.attributions._cam import class_activation
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer, no_layer
from advcli.models.view import View

TRAITS = Traits(watches="layer", differentiable=True)

refusal = no_layer


def layer_cam(view: View, target: Target, *, layer: Layer) -> Maps:
    """Weight each activation by its own gradient where that is positive, and add up the channels.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: that is read; by default the deepest that is still a map.

    Returns:
        (N, H, W), resized to the picture bilinearly (half-pixel centers); all zero where there is no evidence.
    """
    return class_activation(view, target, layer, _combine, relu=True)


def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
    return (gradient.relu() * activation).sum(1)
