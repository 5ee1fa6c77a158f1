"""Momentum iterative method: steps along a sum of past gradients, each scaled to the same size.

Source: Dong et al. 2018, https://arxiv.org/abs/1710.06081, algorithm 1 (linf) and equation 8 (l2).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.radii import shrunk
from advcli.core.rows import Rows
from advcli.registry import Range


@dataclass(frozen=True)
class Mifgsm:
    """Remember where the gradients led so far, and step along that direction.

    Each gradient is divided by the sum of its absolute values before it is added, so that early and late ones count
    alike; a gradient of zeros adds nothing.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units.
        steps: gradient evaluations at most.
        step_size: length of a step in pixel units. Default eps / steps, with which the last step reaches the edge of
            the ball if all of them have the same direction.
        decay: share of the remembered direction that is kept in each step; 0 forgets it, 1 adds all gradients up.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2"), channels=("linf", "l2"))

    norm: Literal["linf", "l2"] = "linf"
    steps: int = 10
    step_size: float | None = None
    decay: Annotated[float, Range(0)] = 1.0

    def start(self, rows: Rows) -> None:
        """Begin at the image, with no direction yet."""
        rows.momentum = torch.zeros_like(rows.images)

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Add the gradient to the direction, and take one step along it."""
        ball = BALLS[self.norm]
        gradient = model.vjp(rows.goal.ascent(logits))
        size = rows.column(BALLS["l1"].size(shrunk(gradient, rows.eps)))
        rows.momentum = self.decay * rows.momentum + gradient / torch.where(size > 0, size, 1.0)
        length = rows.eps / self.steps if self.step_size is None else torch.full_like(rows.eps, self.step_size)
        moved = ball.ascend(rows.adversarial, rows.momentum, length)
        rows.adversarial = ball.project(moved, rows.images, rows.eps)
