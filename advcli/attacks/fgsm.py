"""Fast gradient sign: one full step uphill.

Source: Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572, section 4.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS, Norm
from advcli.core.rows import Rows


@dataclass(frozen=True)
class Fgsm:
    """Step once to the edge of the ball, where a linear loss would be highest.

    Args:
        norm: of the ball. linf moves every value by eps, l2 goes along the gradient, and l1 moves the values with the
            largest gradient to 0 or 1 until the sum of the changes is eps.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"), channels=("linf", "l2", "l1"))

    norm: Norm = "linf"

    steps: ClassVar[int] = 1

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Go the whole way along the loss's steepest direction."""
        ball = BALLS[self.norm]
        moved = ball.ascend(rows.images, model.vjp(rows.goal.ascent(logits)), rows.eps)
        rows.adversarial = ball.project(moved, rows.images, rows.eps)
