"""The scores that an attribution explains: what of the output is differentiated, row by row."""

from typing import Literal

import torch
import torch.nn.functional as F

from advcli.core.precision import wide
from advcli.core.shapes import Floats, Integers, Logits

Score = Literal["logit", "prob", "logprob", "loss"]


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
    """Derivative (N, K) of each row's score in its logits."""
    with torch.enable_grad():
        leaf = wide(logits.detach()).requires_grad_()
        (cotangent,) = torch.autograd.grad(score_value(leaf, target, score).sum(), leaf)
    return cotangent.to(logits.dtype)
