"""The gradient of a score in the pixels: where a small change would matter most.

Source: Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 3.
"""

from advcli.attributions._channels import Reduce, reduce_channels
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.view import View

TRAITS = Traits(gradient=True, linear={"reduce": "sum"}, differentiable=True, fp32=True)


def gradient(view: View, target: Target, *, reduce: Reduce = "sum") -> Maps:
    """Differentiate the target's score in every pixel.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        reduce: how three channels become one map: sum keeps the sign, max takes the largest absolute value (the
            paper's choice), l2 the Euclidean length.

    Returns:
        (N, H, W), score per unit of pixel value.
    """
    return reduce_channels(view.gradient(target.cotangent(view.logits)), reduce)
