"""Fast gradient sign: one full step uphill.

Source: Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572, section 4.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advcli.core.norms import BALLS, Norm
from advcli.core.rows import Pull, RowNoise, Rows


@dataclass(frozen=True)
class Fgsm:
    """Step once to the edge of the ball, where a linear loss would be highest.

    Args:
        norm: which ball: linf moves every pixel by eps, l2 along the gradient.
    """

    norm: Norm = "linf"

    steps: ClassVar[int] = 1

    def start(self, rows: Rows, noise: RowNoise) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, pull: Pull) -> None:
        """Go the whole way along the loss's steepest direction."""
        ball = BALLS[self.norm]
        direction = ball.steepest(pull(rows.goal.ascent(logits)))
        rows.adversarial = ball.project(rows.images + direction * rows.column(rows.eps), rows.images, rows.eps)
