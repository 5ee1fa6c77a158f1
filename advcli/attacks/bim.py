"""Basic iterative method: fast gradient sign in steps of one level of an eight-bit picture.

Source: Kurakin et al. 2017, https://arxiv.org/abs/1607.02533, sections 2.2 and 2.3.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.radii import largest
from advcli.core.rows import Rows

_LEVELS = 255


@dataclass(frozen=True)
class Bim:
    """Go uphill by the sign of the gradient, in small steps, and stay within eps of the image in every value (linf).

    With ``--target least`` it is the paper's iterative least-likely class method.

    Args:
        steps: gradient evaluations at most. Default min(e + 4, 1.25 e), rounded up, where e is eps in levels of an
            eight-bit picture: 10 for 8/255. So many steps of one level can cross from the center of the ball to its
            edge, and no more than a quarter of them are left over.
        step_size: by how much every value moves in a step, in pixel units. Default 1/255.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf",), channels=("linf",))

    steps: int | None = None
    step_size: float = 1 / 255

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def steps_for(self, rows: Rows) -> Tensor:
        """Steps of each row, int64 (N,), at least 1."""
        levels = largest(rows.eps).double() * _LEVELS
        # float32 makes 8.0000002 levels of 8 / 255, which is no reason for another step.
        count = (torch.minimum(levels + 4, 1.25 * levels) - 1e-4).ceil().clamp(min=1).long()
        return count if self.steps is None else torch.full_like(count, self.steps)

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Move every value by ``step_size``, and back into the ball."""
        ball = BALLS["linf"]
        gradient = model.vjp(rows.goal.ascent(logits))
        moved = ball.ascend(rows.adversarial, gradient, torch.full_like(rows.eps, self.step_size))
        rows.adversarial = ball.project(moved, rows.images, rows.eps)
