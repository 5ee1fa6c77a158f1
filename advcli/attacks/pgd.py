"""Projected gradient: many small steps uphill, never leaving the ball.

Source: Madry et al. 2018, https://arxiv.org/abs/1706.06083, section 2.1 (linf, l2); the exact projection onto the l1
ball within [0, 1] is that of Croce and Hein 2021, https://arxiv.org/abs/2103.01208, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS, Norm
from advcli.core.rows import Rows


@dataclass(frozen=True)
class Pgd:
    """Maximize the loss with projected gradient steps.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units. A step in l1 moves the values with the largest
            gradient to 0 or 1 until it is ``step_size`` long.
        steps: gradient evaluations at most.
        step_size: length of a step in pixel units. Default 2.5 * eps / steps, which can cross the ball in 40 % of the
            steps.
        random_start: begin at a uniform point of the ball instead of at the image.
        restarts: attempts with other random starts, made while an image survives.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"), channels=("linf", "l2", "l1"))

    norm: Norm = "linf"
    steps: int = 40
    step_size: float | None = None
    random_start: bool = True
    restarts: int = 1

    def start(self, rows: Rows) -> None:
        """Choose each row's starting point."""
        if self.random_start:
            ball = BALLS[self.norm]
            offset = ball.sample(rows.noise, rows.images, rows.eps)
            rows.adversarial = ball.project(rows.images + offset, rows.images, rows.eps)

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take one step along the steepest ascent direction and project back onto the ball."""
        ball = BALLS[self.norm]
        gradient = model.vjp(rows.goal.ascent(logits))  # (N, K) cotangent -> (N, 3, H, W)
        length = rows.eps * 2.5 / self.steps if self.step_size is None else rows.eps * 0 + self.step_size
        moved = ball.ascend(rows.adversarial, gradient, length)
        rows.adversarial = ball.project(moved, rows.images, rows.eps)
