"""Integrated gradients: the change of a score on the way from a baseline, shared out among the pixels.

Source: Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365, section 3.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.scores import Score, score_cotangent, score_value
from advcli.core.shapes import Integers, Maps, Pixels
from advcli.models.classifier import Classifier

Baseline = Literal["black", "white", "grey", "mean"]
Rule = Literal["midpoint", "gauss-legendre", "trapezoid"]
_PLAIN: dict[str, float] = {"black": 0.0, "white": 1.0, "grey": 0.5}


def integrated_gradients(
    classifier: Classifier,
    pixels: Pixels,
    target: Integers,
    *,
    score: Score = "logit",
    steps: int = 50,
    baseline: Baseline = "black",
    rule: Rule = "midpoint",
    notes: dict[str, Tensor] | None = None,
) -> Maps:
    """Integrate the gradient along the straight line from a baseline to the image.

    Args:
        classifier: what to explain.
        pixels: (N, 3, H, W) in [0, 1].
        target: (N,) the class to explain for each image.
        score: what is differentiated.
        steps: points on the line.
        baseline: picture without evidence, in pixel space: black, white, grey, or the image's mean color.
        rule: where the points lie. On the kinks of a ReLU network midpoint is as good as any.
        notes: receives ``completeness_gap``: how far the map's sum is from the change of the score, relative to it.

    Returns:
        (N, H, W), channels summed; the sum over the map approximates score(image) - score(baseline).
    """
    start = _baseline(pixels, baseline)
    way = pixels - start
    total = torch.zeros_like(wide(pixels))
    places, weights = _quadrature(steps, rule)
    together = max(1, classifier.rows_at_once // len(pixels))  # steps of all images that fill the network's blocks
    for group in range(0, steps, together):
        chosen = places[group : group + together]
        points = torch.cat([(start + way * place).clamp(0, 1) for place in chosen])
        look = classifier.look(points)
        pulled = look.pull(score_cotangent(look.logits, target.repeat(len(chosen)), score))
        for weight, part in zip(weights[group : group + together], torch.split(pulled, len(pixels)), strict=True):
            total += wide(part) * weight
    maps = (wide(way) * total).sum(1)
    if notes is not None:
        notes["completeness_gap"] = _gap(classifier, maps, pixels, start, target, score)
    return maps.to(pixels.dtype)


def _baseline(pixels: Pixels, name: Baseline) -> Pixels:
    if name == "mean":
        return wide(pixels).mean((2, 3), keepdim=True).to(pixels.dtype).expand_as(pixels)
    return torch.full_like(pixels, _PLAIN[name])


def _quadrature(steps: int, rule: Rule) -> tuple[list[float], list[float]]:
    """Points in [0, 1] and weights that sum to 1."""
    if rule == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return list((1 + points) / 2), list(weights / 2)
    if rule == "trapezoid" and steps > 1:
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return list(np.linspace(0, 1, steps)), list(weights)
    return list((np.arange(steps) + 0.5) / steps), [1 / steps] * steps


def _gap(classifier: Classifier, maps: Tensor, pixels: Pixels, start: Pixels, target: Integers, score: Score) -> Tensor:
    rise = score_value(classifier.logits(pixels), target, score) - score_value(classifier.logits(start), target, score)
    gap = (maps.sum((1, 2)) - rise).abs()
    return torch.where(gap > 0, gap / rise.abs(), 0.0)  # an image that is its own baseline has neither
