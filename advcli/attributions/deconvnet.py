"""Deconvolution: the gradient, through ReLUs that clip the gradient instead of gating it.

Source: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901, section 2.1; as a rule for gradients: Springenberg et
al. 2015, https://arxiv.org/abs/1412.6806, figure 1.
"""

from torch import Tensor

from advcli.attributions._channels import Reduce, reduce_channels
from advcli.attributions._rectified import rectified_gradient
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.rectifiers import no_relu
from advcli.models.view import View

TRAITS = Traits(watches="relus", fp32=True)

refusal = no_relu


def deconvnet(
    view: View,
    target: Target,
    *,
    reduce: Reduce = "sum",
    notes: dict[str, Tensor] | None = None,
    flags: dict[str, Tensor] | None = None,
) -> Maps:
    """Differentiate the target's score in every pixel, letting positive gradients through any ReLU, active or not.

    All ReLUs and ReLU6 count, also functional, in-place and reused ones; other nonlinearities keep their derivative.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        reduce: how three channels become one map: sum keeps the sign, max takes the largest absolute value, l2 the
            Euclidean length.
        notes: receives ``relu_share``: the share of ReLUs among the calls of nonlinear functions.
        flags: receives ``mixed-nonlinearities`` where there are others too.

    Returns:
        (N, H, W), score per unit of pixel value, as far as the rule leaves it a derivative.
    """
    return reduce_channels(rectified_gradient(view, target, "deconvolution", notes, flags), reduce)
