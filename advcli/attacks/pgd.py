"""Projected gradient: many small steps uphill, never leaving the ball.

Source: Madry et al. 2018, https://arxiv.org/abs/1706.06083, section 2.1.
"""

from dataclasses import dataclass

from torch import Tensor

from advcli.core.norms import BALLS, Norm
from advcli.core.rows import Pull, RowNoise, Rows


@dataclass(frozen=True)
class Pgd:
    """Maximize the loss inside a ball round each image.

    Args:
        norm: which ball; its radius is each row's eps, in pixel units.
        steps: gradient evaluations at most.
        step_size: length of a step in pixel units. By default 2.5 * eps / steps: long enough to cross the ball, short
            enough to settle.
        random_start: begin at a uniform point of the ball instead of at the image.
    """

    norm: Norm = "linf"
    steps: int = 40
    step_size: float | None = None
    random_start: bool = True

    def start(self, rows: Rows, noise: RowNoise) -> None:
        """Place every row inside its own ball."""
        if self.random_start:
            ball = BALLS[self.norm]
            offset = ball.sample(noise, rows.images, rows.eps)
            rows.adversarial = ball.project(rows.images + offset, rows.images, rows.eps)

    def step(self, rows: Rows, logits: Tensor, pull: Pull) -> None:
        """Walk one step up the loss and come back into the ball."""
        ball = BALLS[self.norm]
        gradient = pull(rows.goal.ascent(logits))  # (N, K) cotangent -> (N, 3, H, W)
        length = rows.eps * 2.5 / self.steps if self.step_size is None else self.step_size
        moved = rows.adversarial + ball.steepest(gradient) * rows.column(length)
        rows.adversarial = ball.project(moved, rows.images, rows.eps)
