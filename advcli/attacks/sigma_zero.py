"""Sigma-zero: a smooth count of the changed values is minimized together with the margin, and small changes are undone.

Source: Cinà et al. 2025, https://arxiv.org/abs/2402.01879, section 2 and algorithm 1.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from advcli.attacks._minimum_norm import cosine, on_grid
from advcli.core.attack import Model, Traits
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range


@dataclass(frozen=True)
class SigmaZero:
    """Search for the success that changes the fewest values (a value is one color of one pixel).

    Adam minimizes the margin by which the label still stands, plus the mean of delta^2 / (delta^2 + ``sigma``), which
    counts the changed values smoothly; its gradient is divided by its largest entry. After each step, changes below a
    threshold of the image's own are undone; the threshold rises while the point succeeds and falls while it does not.
    Every point that is looked at is an eight-bit picture, so that what is found is what is saved.

    Args:
        steps: gradient evaluations.
        step_size: of Adam, in pixel units; it falls along half a cosine wave to a tenth.
        sigma: of the smooth count, in squared pixel units: a change of its root counts as one half.
        threshold: at the beginning, in pixel units.
        threshold_step: by which the threshold changes in a step, times the present ``step_size``.
    """

    traits: ClassVar[Traits] = Traits(keeps="smallest", measure="l0")

    steps: int = 300
    step_size: float = 1.0
    sigma: float = 1e-3
    threshold: Annotated[float, Range(0, 1)] = 0.3
    threshold_step: Annotated[float, Range(0, 1)] = 0.01

    def start(self, rows: Rows) -> None:
        """Begin at the image."""
        rows.delta = wide(torch.zeros_like(rows.images))
        rows.mean, rows.square = torch.zeros_like(rows.delta), torch.zeros_like(rows.delta)
        rows.least = wide(torch.full_like(rows.eps, self.threshold))

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take a step of Adam, and undo what is below the threshold."""
        reached = rows.goal.reached(logits)
        size = cosine(rows, self.steps, self.step_size, self.step_size / 10)
        moved = rows.delta - size.view(-1, 1, 1, 1) * self._adam(rows, self._gradient(rows, logits, reached, model))
        image = wide(rows.images)
        delta = (image + moved).clamp(0, 1) - image
        change = torch.where(reached, self.threshold_step, -self.threshold_step)
        rows.least = (rows.least + change * size).clamp(0, 1)
        rows.delta = torch.where(delta.abs() < rows.least.view(-1, 1, 1, 1), 0.0, delta)
        rows.adversarial = on_grid((image + rows.delta).to(rows.images.dtype).clamp(0, 1))

    def _gradient(self, rows: Rows, logits: Tensor, reached: Tensor, model: Model) -> Tensor:
        """Of what is minimized, divided by its largest entry: float64 (N, 3, H, W)."""
        square = rows.delta.square()
        gradient = 2 * rows.delta * self.sigma / (square + self.sigma).square() / rows.images[0].numel()
        places = (~reached).nonzero()[:, 0]
        if len(places):
            uphill = wide(model.vjp(rows.goal.ascent(logits, "margin")[places], places))
            gradient = gradient.index_add(0, places, -uphill)
        return gradient / gradient.abs().flatten(1).amax(1).clamp(min=1e-12).view(-1, 1, 1, 1)

    @staticmethod
    def _adam(rows: Rows, gradient: Tensor) -> Tensor:
        """The direction of Adam's next step."""
        made = wide(rows.age + 1).view(-1, 1, 1, 1)
        rows.mean = 0.9 * rows.mean + 0.1 * gradient
        rows.square = 0.999 * rows.square + 0.001 * gradient.square()
        mean = rows.mean / (1 - torch.exp(made * math.log(0.9)))
        square = rows.square / (1 - torch.exp(made * math.log(0.999)))
        direction: Tensor = mean / (square.sqrt() + 1e-8)
        return direction
