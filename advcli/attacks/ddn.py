"""DDN: the direction of a perturbation follows the gradient, its length follows whether the last point succeeded.

Source: Rony et al. 2019, https://arxiv.org/abs/1811.09600, algorithm 1, and section 4.2 (rounding in every step).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from advcli.attacks._minimum_norm import cosine, direction, farthest, on_grid
from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range


@dataclass(frozen=True)
class Ddn:
    """Search for the success with the smallest Euclidean distance.

    Each step adds the normalized gradient of the log-odds to the perturbation and scales the sum to the length that
    the row has reached: shorter by ``gamma`` after a success, longer by ``gamma`` after a failure. Every point that
    is looked at is rounded to an eight-bit picture, so that what is found is what is saved. The perturbation is
    remembered unrounded, because the last steps are smaller than a level.

    Args:
        steps: gradient evaluations, 100 to 1000 in the paper.
        step_size: Euclidean length of the first step in pixel units; it falls along half a cosine wave to a hundredth.
        init_norm: length of the perturbation after the first step if the image itself fails, in pixel units.
        gamma: fraction by which the length changes in a step.
    """

    traits: ClassVar[Traits] = Traits(keeps="smallest", measure="l2")

    steps: int = 300
    step_size: float = 1.0
    init_norm: float = 1.0
    gamma: Annotated[float, Range(0, 1)] = 0.05

    def start(self, rows: Rows) -> None:
        """Begin at the image, without a perturbation."""
        rows.delta = torch.zeros_like(rows.images)
        rows.length = wide(torch.full_like(rows.eps, self.init_norm))

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Turn toward the gradient, and take the next length."""
        step = direction(rows, model.vjp(rows.goal.ascent(logits)))
        size = cosine(rows, self.steps, self.step_size, self.step_size / 100)
        delta = wide(rows.delta) + wide(step) * size.view(-1, 1, 1, 1)
        change = torch.where(rows.goal.reached(logits), 1 - self.gamma, 1 + self.gamma)
        # The image itself, at which the search begins, says nothing about the first length.
        length = torch.where(rows.age > 0, rows.length * change, rows.length)
        rows.length = torch.minimum(length, wide(BALLS["l2"].size(farthest(rows.images))))
        scale = rows.length / BALLS["l2"].size(delta).clamp(min=1e-12)
        pixels = (wide(rows.images) + delta * scale.view(-1, 1, 1, 1)).to(rows.images.dtype).clamp(0, 1)
        rows.delta = pixels - rows.images
        rows.adversarial = on_grid(pixels)
