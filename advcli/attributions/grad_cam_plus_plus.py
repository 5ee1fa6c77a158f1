"""Grad-CAM++: Grad-CAM with weights that count every place where a channel helps the class alike.

Source: Chattopadhay et al. 2018, https://arxiv.org/abs/1710.11063, section 3.2.
"""

import torch
from torch import Tensor

from advcli.attributions._cam import class_activation
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer, no_layer
from advcli.models.view import View

TRAITS = Traits(watches="layer")

refusal = no_layer


def grad_cam_plus_plus(view: View, target: Target, *, layer: Layer) -> Maps:
    """Weight a layer's channels by their positive gradients, each scaled by how it curves, and add them up.

    With g the gradient and S the sum of a channel's activations, a place has the weight g^2 / (2 g^2 + S g^3) =
    1 / (2 + S g). The paper derives it for activations that are not negative; where they are and 2 + S g is not above
    zero, the place has none.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: whose channels are weighted, best one behind a ReLU; by default the deepest that is still a map.

    Returns:
        (N, H, W), resized to the picture bilinearly (half-pixel centers); all zero where there is no evidence.
    """
    return class_activation(view, target, layer, _combine, relu=True)


def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
    curve = 2 + activation.sum((2, 3), keepdim=True) * gradient
    share = torch.where((gradient != 0) & (curve > 0), 1 / curve, 0.0)
    return ((share * gradient.relu()).sum((2, 3), keepdim=True) * activation).sum(1)
