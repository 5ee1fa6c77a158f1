"""What an attack wants of each row: to leave a label or to reach a target, as losses to climb, row by row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.shapes import Flags, Floats, Integers, Logits

LossName = Literal["log-odds", "margin", "dlr"]


@dataclass(frozen=True)
class Goal:
    """Leave ``label`` (where ``target`` is -1) or reach ``target``.

    Whether the goal is reached depends on label and target alone. The losses may aim at a class of their own: an
    attack that leaves the label can be aimed at one class after another, and any misclassification counts.

    Args:
        label: (N,) true classes.
        target: (N,) classes to reach, or -1.
        aim: (N,) classes that the losses aim at, or -1 for the goal's own; none is -1 for all.
    """

    label: Integers
    target: Integers
    aim: Integers | None = None

    @classmethod
    def of(cls, label: int, target: int = -1) -> "Goal":
        """Make the goal of one row."""
        return cls(torch.tensor([label]), torch.tensor([target]))

    @property
    def aimed(self) -> Integers:
        """Class (N,) that the losses lead to: ``aim`` where there is one, else the target; -1: leave the label."""
        return self.target if self.aim is None else torch.where(self.aim >= 0, self.aim, self.target)

    @property
    def pivot(self) -> Integers:
        """The class whose logit the losses are about: the one aimed at, or the label where there is none."""
        return torch.where(self.aimed >= 0, self.aimed, self.label)

    @property
    def judged(self) -> "Goal":
        """The same goal without an aim."""
        return Goal(self.label, self.target)

    def reached(self, logits: Logits, least: float | Floats = 0.0) -> Flags:
        """Say which rows are where the attack wants them, by more than ``least`` logits; a tie is not enough."""
        return self.margin(logits) > least

    def margin(self, logits: Logits) -> Floats:
        """By how many logits each row is at its goal, float64 (N,); negative where it is not, whatever its aim."""
        return self.judged.loss(logits, "margin")

    def loss(self, logits: Logits, name: LossName = "log-odds") -> Floats:
        """Loss to climb, one per row, in float64.

        Args:
            logits: (N, K) with K >= 2; ``dlr`` needs 3, targeted 4.
            name: ``log-odds``: cross-entropy in the form log(1 - p) - log(p), which has the same direction and cannot
                underflow; ``margin``: highest other logit minus the label's; ``dlr``: the margin over the spread of the
                highest logits, whatever the scale of the network's output; toward a target, its lead over the label.

        Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, equations 6 and 7 (dlr).
        """
        away = _LOSSES[name](wide(logits), self)
        return torch.where(self.aimed >= 0, -away, away)

    def ascent(self, logits: Logits, name: LossName = "log-odds") -> Logits:
        """Cotangent (N, K) of the loss: what ``vjp`` turns into the gradient of the loss in the pixels."""
        with torch.enable_grad():
            leaf = wide(logits.detach()).requires_grad_()
            (cotangent,) = torch.autograd.grad(self.loss(leaf, name).sum(), leaf)
        return cotangent.to(logits.dtype)


def lead(logits: np.ndarray, label: int) -> float:
    """By how much the logit of a class exceeds the largest other one, of one image's logits (K,) in float64."""
    others = logits.copy()
    others[label] = -np.inf
    return float(logits[label] - others.max())


def is_reached(logits: np.ndarray, label: int, target: int) -> bool:
    """Say whether one image is at its goal, see ``Goal.reached``, by its logits (K,) in float64."""
    return lead(logits, label) < 0 if target < 0 else lead(logits, target) > 0


def _log_odds(logits: Tensor, goal: Goal) -> Tensor:
    return torch.logsumexp(_without(logits, goal.pivot), 1) - _at(logits, goal.pivot)


def _margin(logits: Tensor, goal: Goal) -> Tensor:
    return _without(logits, goal.pivot).amax(1) - _at(logits, goal.pivot)


def _dlr(logits: Tensor, goal: Goal) -> Tensor:
    ranked, targeted = logits.sort(1, descending=True).values, goal.aimed >= 0
    lower = torch.where(targeted, (ranked[:, 2] + ranked[:, min(3, ranked.shape[1] - 1)]) / 2, ranked[:, 2])
    ahead = _at(logits, goal.label) - _at(logits, goal.pivot)  # of the target, the label alone, as in the paper
    return torch.where(targeted, ahead, _margin(logits, goal)) / (ranked[:, 0] - lower + 1e-12)


_LOSSES: dict[LossName, Callable[[Tensor, Goal], Tensor]] = {
    "log-odds": _log_odds,
    "margin": _margin,
    "dlr": _dlr,
}


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]


def _without(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.scatter(1, classes[:, None], float("-inf"))
