"""Input times gradient: what each pixel contributes to the score, if the network were linear.

Source: Shrikumar et al. 2016, https://arxiv.org/abs/1605.01713, section 2.
"""

from advcli.attributions._channels import reduce_channels
from advcli.core.attribution import Traits
from advcli.core.precision import wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.view import View

TRAITS = Traits(gradient=True, linear={}, differentiable=True, fp32=True)


def input_x_gradient(view: View, target: Target) -> Maps:
    """Multiply the gradient by the pixels.

    Args:
        view: of the images.
        target: class and score to explain for each image.

    Returns:
        (N, H, W), channels summed. A black pixel gets 0: pixels are in [0, 1], not normalized.
    """
    return reduce_channels(wide(view.pixels) * view.gradient(target.cotangent(view.logits)), "sum")
