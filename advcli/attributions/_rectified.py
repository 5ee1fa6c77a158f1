"""Gradients through ReLUs with another backward pass, shared by guided backpropagation and its relatives."""

import torch
from torch import Tensor

from advcli.core.scores import Target
from advcli.core.shapes import Pixels
from advcli.models.rectifiers import Rectifying, Rule
from advcli.models.view import View


def rectified_gradient(
    view: View, target: Target, rule: Rule, notes: dict[str, Tensor] | None, flags: dict[str, Tensor] | None
) -> Pixels:
    """Differentiate the target's score in the pixels, with a rule for ReLUs.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        rule: of the ReLUs.
        notes: receives ``relu_share``: how many of the network's nonlinearities the rule applies to.
        flags: receives ``mixed-nonlinearities`` where that is not all of them.

    Returns:
        (N, 3, H, W).
    """
    modes: list[Rectifying] = []

    def around(_kept: object) -> Rectifying:
        modes.append(Rectifying(rule))
        return modes[-1]

    own = View(view.classifier, view.pixels, gradient=True, around=around)
    gradient = own.gradient(target.cotangent(own.logits))
    own.close()
    others = sum(modes[0].others.values())
    images = torch.ones(len(gradient), dtype=torch.float64)
    if notes is not None:
        notes["relu_share"] = images * (modes[0].rerouted / (modes[0].rerouted + others))
    if flags is not None:
        flags["mixed-nonlinearities"] = images * others > 0
    return gradient
