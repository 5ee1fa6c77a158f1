"""Guided Grad-CAM: guided backpropagation, which is sharp, times Grad-CAM, which depends on the class.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, section 3.
"""

from torch import Tensor

from advcli.attributions._channels import Reduce, reduce_channels
from advcli.attributions._rectified import rectified_gradient
from advcli.attributions.grad_cam import grad_cam
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.classifier import Classifier
from advcli.models.layers import Layer, no_layer
from advcli.models.rectifiers import no_relu
from advcli.models.view import View

TRAITS = Traits(watches="layer", fp32=True)


def refusal(classifier: Classifier) -> str | None:
    """Refuse a network without a layer that can be read, or without ReLUs."""
    return no_layer(classifier) or no_relu(classifier)


def guided_grad_cam(
    view: View,
    target: Target,
    *,
    layer: Layer,
    relu: bool = True,
    reduce: Reduce = "sum",
    notes: dict[str, Tensor] | None = None,
    flags: dict[str, Tensor] | None = None,
) -> Maps:
    """Multiply guided backpropagation by Grad-CAM, channel by channel.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: whose channels Grad-CAM weights; by default the deepest that is still a map. Its gradients are the
            network's own, not the guided ones.
        relu: keep only Grad-CAM's evidence for the class, as the paper does.
        reduce: how three channels become one map: sum keeps the sign, max takes the largest absolute value, l2 the
            Euclidean length.
        notes: as in guided-backprop.
        flags: as in guided-backprop.

    Returns:
        (N, H, W); all zero where Grad-CAM finds no evidence for the class.
    """
    where = grad_cam(view, target, layer=layer, relu=relu)
    return reduce_channels(rectified_gradient(view, target, "guided", notes, flags) * where[:, None], reduce)
