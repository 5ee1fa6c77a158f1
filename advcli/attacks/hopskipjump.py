"""HopSkipJump: walks along the boundary with a normal that is estimated from labels.

Source: Chen et al. 2020, https://arxiv.org/abs/1904.02144, algorithms 1 and 2.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from advcli.attacks._boundary_walk import STRIDE, asked, begun
from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.precision import by_row, wide
from advcli.core.rows import Rows

_VALUES_AT_ONCE = 1 << 25  # of random directions that are held in memory, 128 MiB
_HALVINGS = 15  # of a step that leads out of the goal, at most
_FIRST_RADIUS = 0.1  # of the directions of the first estimate, in pixel units
_LEAST_RADIUS = 1e-6  # of later ones: an image that is at the goal itself is at no distance


@dataclass(frozen=True)
class HopSkipJump:
    """Search for the nearest success with the predicted label alone.

    A row begins at a picture that is at the goal: a donor, or uniform noise. Each step bisects the way to the image
    until it is at the boundary, estimates the boundary's normal there from the labels of points in random directions,
    and goes along the normal, by the distance over the root of the step's number, halved until the goal is reached.

    Args:
        norm: in which the nearest success is sought: l2 bisects along the line to the image and steps along the normal;
            linf cuts the changes off at a radius and steps along the normal's signs.
        steps: at most; the number of queries is best bounded by ``--queries``.
        gradient_queries: points of the first estimate; those of the t-th are root t times as many.
        max_gradient_queries: points of an estimate, at most.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("l2", "linf"), needs="labels", keeps="smallest", eps="unused", begins="donor", cost=(1, 0)
    )

    norm: Literal["l2", "linf"] = "l2"
    steps: int = 64
    gradient_queries: int = 100
    max_gradient_queries: int = 10_000

    def start(self, rows: Rows) -> None:
        """Begin at the donor; a row without one looks for a start in its first step."""
        rows.ended = torch.zeros_like(rows.label, dtype=torch.bool)

    def finished(self, rows: Rows) -> Tensor:
        """Rows for which no picture at the goal was found, bool (N,)."""
        return rows.ended

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Go to the boundary, and along its normal."""
        start, good = begun(rows, logits, model)
        rows.ended = ~good
        for places in self._groups(rows, good):
            some = rows[places]
            moved = self._jumped(some, self._at_boundary(some, start[places], model, places), model, places)
            start = start.index_copy(0, places, moved)
        rows.adversarial = torch.where(good.view(-1, 1, 1, 1), start, rows.adversarial)
        # The numbers of every row move on alike, however many it drew.
        rows.moved_on(STRIDE)

    def _queries(self, age: int) -> int:
        """Points of the estimate at an age."""
        return min(int(self.gradient_queries * math.sqrt(age + 1)), self.max_gradient_queries)

    def _groups(self, rows: Rows, good: Tensor) -> Iterator[Tensor]:
        """Places of rows of one age, so few that their random directions fit into memory."""
        for age in sorted(set(rows.age[good].tolist())):
            places = (good & (rows.age == age)).nonzero()[:, 0]
            size = max(1, _VALUES_AT_ONCE // (self._queries(age) * rows.images[0].numel()))
            yield from torch.split(places, size)

    def _at_boundary(self, rows: Rows, far: Tensor, model: Model, places: Tensor) -> Tensor:
        """Bisect between images and points at the goal; give the nearest points (n, 3, H, W) found at the goal."""
        halvings = math.ceil(1.5 * math.log2(rows.images[0].numel()))  # to d^(-3/2) of the way
        low, high = torch.zeros_like(rows.eps), torch.ones_like(rows.eps)
        radius = BALLS["linf"].size(far - rows.images)
        best = far
        for _ in range(halvings):
            middle = (low + high) / 2
            if self.norm == "l2":
                tried = rows.images + (far - rows.images) * rows.column(middle)
            else:
                tried = BALLS["linf"].project(far, rows.images, radius * middle)
            tried = tried.clamp(0, 1)
            good = asked(rows, tried[:, None], model, places)[:, 0]
            best = torch.where(good.view(-1, 1, 1, 1), tried, best)
            low, high = torch.where(good, low, middle), torch.where(good, middle, high)
        return best

    def _jumped(self, rows: Rows, point: Tensor, model: Model, places: Tensor) -> Tensor:
        """Go along the normal from points at the boundary; where no length reaches the goal, stay there."""
        distance = BALLS[self.norm].size(point - rows.images)
        normal = self._normal(rows, point, distance, model, places)
        step = BALLS[self.norm].steepest(normal)
        length = distance / wide(rows.age + 1).sqrt().to(distance.dtype)
        moved, open_ = point, torch.arange(len(rows), device=places.device)
        for _ in range(_HALVINGS):
            some = rows[open_]
            tried = (point[open_] + step[open_] * some.column(length[open_])).clamp(0, 1)
            good = asked(some, tried[:, None], model, places[open_])[:, 0]
            moved = moved.index_copy(0, open_[good], tried[good])
            open_ = open_[~good]
            if not len(open_):
                break
            length = length / 2
        return moved

    def _normal(self, rows: Rows, point: Tensor, distance: Tensor, model: Model, places: Tensor) -> Tensor:
        """Estimate the normal (n, 3, H, W) that leads into the goal's region; of any length."""
        shape = (self._queries(int(rows.age[0])), *rows.images.shape[1:])
        noise = rows.noise.normal(*shape) if self.norm == "l2" else rows.noise.uniform(*shape) * 2 - 1
        drawn = BALLS["l2"].steepest(noise.flatten(0, 1)).view_as(noise)
        radius = torch.where(rows.age == 0, _FIRST_RADIUS, (distance / rows.images[0].numel()).clamp(min=_LEAST_RADIUS))
        tried = (point[:, None] + drawn * radius.view(-1, 1, 1, 1, 1)).clamp(0, 1)
        sign = wide(asked(rows, tried, model, places)) * 2 - 1
        mean = sign.mean(1, keepdim=True)
        weights = torch.where(mean.abs() == 1, mean, sign - mean)
        moves = (tried - point[:, None]) / radius.view(-1, 1, 1, 1, 1)
        return by_row(_weighted, weights, moves)


def _weighted(weights: Tensor, moves: Tensor) -> Tensor:
    """The weighted sum (1, 3, H, W) of one row's moves (1, Q, 3, H, W)."""
    total = weights @ wide(moves[0].flatten(1))
    return total.to(moves.dtype).view(1, *moves.shape[2:])
