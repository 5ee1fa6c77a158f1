"""The scores that an attribution explains: what of the output is differentiated, row by row."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.core.choices import Score
from advcli.core.precision import wide
from advcli.core.shapes import Floats, Integers, Logits

__all__ = ["Score", "Target", "score_cotangent", "score_value"]


@dataclass(frozen=True)
class Target:
    """What is explained of each row: the score of one class, fixed once from the unperturbed picture.

    Args:
        classes: (N,) class of each row.
        score: which number of that class; see ``score_value``.
        against: (N,) class whose score is taken away from it: why the one and not the other. By default none is.
    """

    classes: Integers
    score: Score = "logit"
    against: Integers | None = None

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, rows: Tensor | slice) -> "Target":
        """Give the target of the rows that places (M,) or a slice choose; a row may be chosen several times."""
        return Target(self.classes[rows], self.score, None if self.against is None else self.against[rows])

    def same_as(self, other: "Target") -> bool:
        """Say whether two targets explain the same of every row."""
        if self.against is None or other.against is None:
            against = self.against is other.against
        else:
            against = torch.equal(self.against, other.against)
        return against and self.score == other.score and torch.equal(self.classes, other.classes)

    def value(self, logits: Logits) -> Floats:
        """Score of each row, (N,) float64."""
        value = score_value(logits, self.classes, self.score)
        return value if self.against is None else value - score_value(logits, self.against, self.score)

    def cotangent(self, logits: Logits) -> Logits:
        """Derivative of each row's score in its logits, (N, K) float64."""
        cotangent = score_cotangent(logits, self.classes, self.score)
        if self.against is None:
            return cotangent
        return cotangent - score_cotangent(logits, self.against, self.score)


def score_value(logits: Logits, target: Integers, score: Score) -> Floats:
    """Score of each row's target class, (N,) float64.

    Args:
        logits: (N, K).
        target: (N,) classes.
        score: ``logit``; ``prob``, after the softmax, flat where the network is sure; ``logprob``, its logarithm, which
            sets the class against the others; ``loss``, cross-entropy, which is -logprob.
    """
    exact = wide(logits)
    values = exact if score == "logit" else F.softmax(exact, 1) if score == "prob" else F.log_softmax(exact, 1)
    chosen = values.gather(1, target[:, None])[:, 0]
    return -chosen if score == "loss" else chosen


def score_cotangent(logits: Logits, target: Integers, score: Score) -> Logits:
    """Derivative of each row's score in its logits, (N, K) float64.

    The derivative of log p in its own logit is 1 - p. Computed as the sum of the other probabilities it stays above
    zero where p rounds to 1, so that a probability of 1 - 1e-30 still has a derivative.

    Args:
        logits: (N, K).
        target: (N,) classes.
        score: see ``score_value``.
    """
    place = target[:, None]
    exact = wide(logits.detach())
    if score == "logit":
        return torch.zeros_like(exact).scatter(1, place, 1.0)
    probability = F.softmax(exact, 1)
    others = probability.scatter(1, place, 0.0)
    of_logprob = (-others).scatter(1, place, others.sum(1, keepdim=True))
    if score == "prob":
        return probability.gather(1, place) * of_logprob
    return -of_logprob if score == "loss" else of_logprob
