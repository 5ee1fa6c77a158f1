"""Eigen-CAM: what varies most over a deep layer, whatever the class.

Source: Muhammad and Yeasin 2020, https://arxiv.org/abs/2008.00299, section III.
"""

import torch
from torch import Tensor

from advcli.attributions._cam import resized
from advcli.core.attribution import Traits
from advcli.core.precision import by_row
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer, no_layer
from advcli.models.view import View

TRAITS = Traits(watches="layer", class_free=True)

refusal = no_layer


def eigen_cam(view: View, target: Target, *, layer: Layer, relu: bool = True) -> Maps:
    """Project a layer's activations on their first principal component.

    A component has no sign of its own: it gets the one under which the largest value of the map is positive.

    Args:
        view: of the images, which watches the layer.
        target: not used; the map is the same for every class and score.
        layer: that is read; by default the deepest that is still a map.
        relu: keep only the side of the largest value.

    Returns:
        (N, H, W), resized to the picture bilinearly (half-pixel centers).
    """
    del target

    def one(activation: Tensor) -> Tensor:
        places = activation.flatten(2)[0].T  # (h * w, C)
        centered = places - places.mean(0)
        _, _, components = torch.linalg.svd(centered, full_matrices=False)
        low = (centered @ components[0]).view(1, *activation.shape[2:])
        low = -low if -low.amin() > low.amax() else low
        return resized(low.relu() if relu else low, view)

    return by_row(one, layer.spatial(view.watched(layer.name)))
