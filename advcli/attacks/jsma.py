"""JSMA: changes the few values of the image that raise the target's logit most while they lower the others'.

Source: Papernot et al. 2016, https://arxiv.org/abs/1511.07528, algorithms 2 and 3, equations 8 to 10.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.errors import UsageError
from advcli.registry import Range

_PAIRS_AT_ONCE = 1 << 22  # values of pairs that are held in memory at a time, 32 MiB
_SATURATED = 1e-6  # of a value's range: nearer to its end than rounding errors are large


@dataclass(frozen=True)
class Jsma:
    """Change the most salient values of the image, two or one at a time, until the network says the target.

    A feature is one color value of one pixel. Its saliency follows from two derivatives: alpha of the target's logit,
    beta of the sum of all other logits. A pair (p, q) is admissible where alpha_p + alpha_q > 0 > beta_p + beta_q, and
    the pair with the largest -(alpha_p + alpha_q) (beta_p + beta_q) is changed by ``theta``; for a negative ``theta``
    both signs are the other way round. A feature can be chosen again until it is 0 or 1. The search ends where no
    pair is admissible.

    Args:
        theta: what is added to a chosen feature, in pixel units: 1 makes it white, -1 black. Not 0.
        gamma: the largest fraction of the features that may change: the steps are ``gamma`` times the number of
            features, divided by the features per step. Default 0.145, as in the paper.
        variant: ``pair`` searches all pairs of features, as in the paper; ``single`` takes the one feature with
            alpha > 0 > beta and the largest -alpha * beta, and ends sooner where there is none.
    """

    traits: ClassVar[Traits] = Traits(norms=(), targets="must", measure="l0", cost=(1, 2))

    theta: Annotated[float, Range(-1, 1)] = 1.0
    gamma: Annotated[float, Range(0, 1)] = 0.145
    variant: Literal["pair", "single"] = "pair"

    def __post_init__(self) -> None:
        """Refuse a step that changes nothing.

        Raises:
            UsageError: ``theta`` is 0.
        """
        if not self.theta:
            raise UsageError("jsma: theta=0 changes nothing", "theta must be above 0 (lighter) or below 0 (darker)")

    def start(self, rows: Rows) -> None:
        """Begin at the image, with a search that is not exhausted."""
        rows.exhausted = torch.zeros_like(rows.label, dtype=torch.bool)

    def steps_for(self, rows: Rows) -> Tensor:
        """Steps after which the fraction ``gamma`` of the features may have changed, (N,) int64."""
        features = rows.images[0].numel()
        per_step = 2 if self.variant == "pair" else 1
        # A product such as 0.145 * 3000 must not fall below its whole number by a rounding error.
        return torch.full_like(rows.label, math.floor(features * self.gamma / per_step + 1e-9))

    def finished(self, rows: Rows) -> Tensor:
        """Rows for which no feature is left that would help, bool (N,)."""
        return rows.exhausted

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Change the best pair, or the best feature, of every row."""
        target = F.one_hot(rows.target, logits.shape[1]).to(logits.dtype)
        gradients = model.vjp(torch.stack([target, 1 - target], 1))  # (N, 2, K) -> (N, 2, 3, H, W)
        alpha, beta = (gradients * math.copysign(1, self.theta)).flatten(2).unbind(1)
        pixels = rows.adversarial.flatten(1)
        free = pixels < 1 - _SATURATED if self.theta > 0 else pixels > _SATURATED
        search = best_pair if self.variant == "pair" else best_single
        chosen, found = search(alpha, -beta, free)
        changed = (pixels.gather(1, chosen) + self.theta).clamp(0, 1)
        moved = pixels.scatter(1, chosen, changed).view_as(rows.images)
        rows.adversarial = torch.where(found.view(-1, 1, 1, 1), moved, rows.adversarial)
        rows.exhausted = ~found


def best_single(gain: Tensor, drop: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Find each row's feature with the largest gain * drop, both above 0; among equals the first.

    Args:
        gain: (N, F) by how much the target's logit rises with each feature.
        drop: (N, F) by how much the others' sum falls.
        free: bool (N, F), the features that may be chosen.

    Returns:
        The feature, int64 (N, 1), and whether there is one, bool (N,).
    """
    value = (wide(gain) * wide(drop)).where(free & (gain > 0) & (drop > 0), 0.0)
    best, place = value.max(1)
    return place[:, None], best > 0


def best_pair(gain: Tensor, drop: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Find each row's pair of features with the largest (gain_p + gain_q) (drop_p + drop_q), both sums above 0.

    The search is exact: a feature to which two others are at least equal in gain and in drop can be replaced by one of
    the two in any pair, so only the features with at most one such other are paired (the first two Pareto layers).
    They are few, and no F x F matrix is made.

    Args:
        gain: (N, F) by how much the target's logit rises with each feature.
        drop: (N, F) by how much the others' sum falls.
        free: bool (N, F), the features that may be chosen.

    Returns:
        The pair, int64 (N, 2), and whether there is one, bool (N,). With the features ordered by falling gain and then
        by place, the pair that comes first among those of equal value (in float64); its first feature is the first in
        this order. Without a pair, two arbitrary features.
    """
    places = _packed(free & _outside_corner(gain, drop, free))
    gain, drop = (_taken(values, places) for values in (gain, drop))
    gain, order = gain.sort(dim=1, descending=True, stable=True)
    places, drop = places.gather(1, order), drop.gather(1, order)
    # Of all features before one in this order, those with as much drop are at least equal in both.
    inner = _packed(torch.isfinite(gain) & (drop > _second_largest_before(drop)))
    first, second, found = _search(wide(_taken(gain, inner)), wide(_taken(drop, inner)))
    pair = inner.gather(1, torch.stack([first, second], 1)).clamp(min=0)
    return places.gather(1, pair).clamp(min=0), found


def _outside_corner(gain: Tensor, drop: Tensor, free: Tensor) -> Tensor:
    """Drop most features before the sort: those below two strong ones of their row in both. (N, F)."""
    scale_gain, scale_drop = (values.abs().amax(1, keepdim=True).clamp(min=1e-30) for values in (gain, drop))
    strength = (gain / scale_gain + drop / scale_drop).where(free, float("-inf"))
    strongest = strength.argmax(1, keepdim=True)
    runner_up = strength.scatter(1, strongest, float("-inf")).argmax(1, keepdim=True)
    pivots = torch.cat([strongest, runner_up], 1)
    both_free = free.gather(1, pivots).all(1, keepdim=True)
    corners = (values.gather(1, pivots).amin(1, keepdim=True) for values in (gain, drop))
    corner_gain, corner_drop = corners
    return (gain >= corner_gain) | (drop >= corner_drop) | ~both_free


def _packed(mask: Tensor) -> Tensor:
    """Places of the set entries of each row (N, F), in order, behind them -1: int64 (N, most entries, at least 2)."""
    row, place = mask.nonzero(as_tuple=True)
    counts = mask.sum(1)
    within = torch.arange(len(row), device=mask.device) - (counts.cumsum(0) - counts)[row]
    packed = place.new_full((len(mask), max(2, int(counts.max()))), -1)
    packed[row, within] = place
    return packed


def _taken(values: Tensor, places: Tensor) -> Tensor:
    """Values (N, S) at packed places; minus infinity where there is none."""
    return values.gather(1, places.clamp(min=0)).masked_fill(places < 0, float("-inf"))


def _second_largest_before(values: Tensor) -> Tensor:
    """The second largest of the entries before each one in its row (N, S); minus infinity for the first two."""

    def before(running: Tensor) -> Tensor:
        return F.pad(running[:, :-1], (1, 0), value=float("-inf"))

    largest = values.cummax(1).values
    return before(torch.minimum(values, before(largest)).cummax(1).values)


def _search(gain: Tensor, drop: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Try all pairs of (N, S) in blocks: first feature, second feature, whether a pair is admissible; each (N,)."""
    best = gain.new_zeros(len(gain))
    first, second = torch.zeros_like(best, dtype=torch.int64), torch.ones_like(best, dtype=torch.int64)
    for start, stop in _blocks(*gain.shape):
        gains, drops = (values[:, start:stop, None] + values[:, None, start:] for values in (gain, drop))
        value = (gains * drops).where((gains > 0) & (drops > 0), 0.0).triu(1)
        highest, place = value.flatten(1).max(1)
        better = highest > best
        best = torch.where(better, highest, best)
        first = torch.where(better, start + place // value.shape[2], first)
        second = torch.where(better, start + place % value.shape[2], second)
    return first, second, best > 0


def _blocks(rows: int, features: int) -> Iterator[tuple[int, int]]:
    """Ranges of first features, such that the pairs of one range fit into memory."""
    start = 0
    while start < features:
        stop = min(features, start + max(1, _PAIRS_AT_ONCE // (rows * (features - start))))
        yield start, stop
        start = stop
