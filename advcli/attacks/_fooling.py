"""Climb from any picture to one that the network is sure of: fooling images.

Source: Nguyen et al. 2015, "Deep neural networks are easily fooled", https://arxiv.org/abs/1412.1897, section 3.3
(gradient ascent; without their penalty on the pixels, which makes pictures look natural).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.rows import Rows
from advcli.core.shapes import Flags


@dataclass(frozen=True)
class Fooling:
    """Move each picture along the gradient of its target's log-odds until the network is sure of the target.

    Args:
        confidence: softmax probability of the target at which the climb ends, in (0, 1).
        steps: gradient evaluations at most.
        step_size: Euclidean length of a step in pixel units. By default 0.1 on 32 x 32 pixels and in proportion to the
            square root of their number elsewhere: twice what rounding to eight bits changes.
    """

    traits: ClassVar[Traits] = Traits(targets="must")

    confidence: float = 0.9
    steps: int = 200
    step_size: float | None = None

    def start(self, rows: Rows) -> None:
        """Begin at the picture."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take one step along the gradient of the target's log-odds."""
        length = 0.1 * math.sqrt(rows.images[0].numel() / 3072) if self.step_size is None else self.step_size
        direction = BALLS["l2"].steepest(model.vjp(rows.goal.ascent(logits)))
        rows.adversarial = (rows.adversarial + direction * length).clamp(0, 1)

    def counts(self, rows: Rows, logits: Tensor) -> Flags:
        """Say where the target is as probable as wanted."""
        return rows.goal.loss(logits) >= math.log(self.confidence / (1 - self.confidence))  # the target's log-odds
