"""Gradient ascent on the target's score: the network is frozen and the image is trained.

Source: Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 2, from an image instead of from zero.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.rows import Rows


@dataclass(frozen=True)
class Ascent:
    """Move each image along the gradient of its target's logit until the network says the target.

    No ball confines it: how far it had to go is the answer.

    Args:
        steps: gradient evaluations at most.
        step_size: Euclidean length of a step, in pixel units.
    """

    traits: ClassVar[Traits] = Traits(targets="must")

    steps: int = 100
    step_size: float = 0.1

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take one step along the gradient of the target's logit."""
        gradient = model.vjp(F.one_hot(rows.target, logits.shape[1]).to(logits.dtype))
        direction = BALLS["l2"].steepest(gradient)
        rows.adversarial = (rows.adversarial + direction * self.step_size).clamp(0, 1)
