"""Integrated gradients: the change of a score on the way from a baseline, shared out among the pixels.

Source: Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365, section 3.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from advcli.attributions._noise import SampleNoise
from advcli.core.attribution import Traits
from advcli.core.blurring import blurred
from advcli.core.precision import by_row, wide
from advcli.core.scores import Target
from advcli.core.shapes import Floats, Maps, Pixels
from advcli.models.view import View

Baseline = Literal["black", "white", "grey", "mean", "blur", "noise"]
Rule = Literal["midpoint", "gauss-legendre", "trapezoid", "left", "right"]

TRAITS = Traits(linear={}, fp32=True)

_INCOMPLETE = 0.05  # completeness gap from which a map is flagged
_PLAIN: dict[str, float] = {"black": 0.0, "white": 1.0, "grey": 0.5}


def integrated_gradients(
    view: View,
    target: Target,
    *,
    steps: int = 50,
    baseline: Baseline = "black",
    rule: Rule = "midpoint",
    noise: SampleNoise | None = None,
    notes: dict[str, Tensor] | None = None,
    flags: dict[str, Tensor] | None = None,
) -> Maps:
    """Integrate the gradient along the straight line from a baseline to the image.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        steps: points on the line.
        baseline: picture without evidence, in pixel space: black, white, grey (0.5), the image's mean color, the image
            blurred, or noise, uniform in every value (expected-gradients:background=noise takes the mean over many).
        rule: where the points lie. On the kinks of a ReLU network midpoint is as good as any; left and right are off by
            half a step.
        noise: random numbers of each image, for the baseline.
        notes: receives ``completeness_gap``: how far the map's sum is from the change of the score, relative to it.
        flags: receives ``incomplete`` where that is above 5 %: more steps may help.

    Returns:
        (N, H, W), channels summed; the sum over the map approximates score(image) - score(baseline).
    """
    start = _baseline(view.pixels, baseline, noise)
    way = wide(view.pixels) - wide(start)
    total = torch.zeros_like(way)
    places, weights = (torch.as_tensor(values).to(way) for values in _quadrature(steps, rule))

    def between(rows: Tensor, indices: Tensor) -> Tensor:
        points = start[rows] + way[rows] * places[indices].view(-1, 1, 1, 1)
        return points.clamp(0, 1).to(view.pixels.dtype)

    for part in view.classifier.sweep(view.pixels, steps, between):
        found = part.gradient(target[part.rows].cotangent(part.logits))
        part.add_to(total, found * weights[part.indices].view(-1, 1, 1, 1))
    maps = by_row(lambda one: one.sum(1), way * total)
    if notes is not None or flags is not None:
        gap = _gap(view, maps, start, target)
        for told, name, value in ((notes, "completeness_gap", gap), (flags, "incomplete", gap > _INCOMPLETE)):
            if told is not None:
                told[name] = value
    return maps


def _baseline(pixels: Pixels, name: Baseline, noise: SampleNoise | None) -> Pixels:
    if name == "blur":
        return blurred(pixels)
    if name == "noise" and noise is not None:
        rows = torch.arange(len(pixels), device=pixels.device)
        return noise.uniform(rows, torch.zeros_like(rows), *pixels.shape[1:]).to(pixels.dtype)
    if name == "mean":
        mean = by_row(lambda row: row.mean((2, 3), keepdim=True), wide(pixels))
        return mean.to(pixels.dtype).expand_as(pixels)
    return torch.full_like(pixels, _PLAIN[name])


def _quadrature(steps: int, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Points in [0, 1] and weights that sum to 1."""
    if rule == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (1 + points) / 2, weights / 2
    if rule == "trapezoid" and steps > 1:
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    first = {"left": 0.0, "right": 1.0}.get(rule, 0.5)
    return (np.arange(steps) + first) / steps, np.full(steps, 1 / steps)


def _gap(view: View, maps: Maps, start: Pixels, target: Target) -> Floats:
    logits = [view.classifier.logits(pixels) for pixels in (view.pixels, start)]
    rise = target.value(logits[0]) - target.value(logits[1])
    gap = (by_row(lambda row: row.sum((1, 2)), maps) - rise).abs()
    return torch.where(gap > 0, gap / rise.abs(), 0.0)  # an image that is its own baseline has neither
