"""FMN: a projected gradient in a ball whose radius follows the boundary.

Source: Pintor et al. 2021, https://arxiv.org/abs/2102.12827, algorithm 1 (l0, l1, l2, linf) and section 2.3 (starts).
The projection in l1 is the exact one onto ball and [0, 1] of Croce and Hein 2021, https://arxiv.org/abs/2103.01208.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from advcli.attacks._boundary_walk import asked
from advcli.attacks._minimum_norm import cosine, direction, farthest, on_grid
from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS, Norm
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Flags
from advcli.registry import Range

_DUAL: dict[Norm, Norm] = {"l2": "l2", "linf": "l1", "l1": "linf"}  # norm of the gradient, by that of the distance
# Added to the gap between two logits, as a fraction of the largest: without it a row can end on the boundary itself.
_LEAST_GAP = 1e-5
_BISECTIONS = 10  # of the way from a donor


@dataclass(frozen=True)
class Fmn:
    """Search for the nearest success in a norm.

    Each step climbs the margin and projects onto a ball around the image. Before the first success, the radius is the
    distance at which the boundary would be if the network were linear; then it shrinks by a fraction after a success,
    to the nearest success at most, and grows by that fraction after a failure. In l0 it is a number of values, begins
    at 1, and changes by 1 at least.

    Args:
        norm: in which the nearest success is sought.
        steps: gradient evaluations.
        step_size: Euclidean length of the first step in pixel units; it falls along half a cosine wave to a hundredth.
        gamma: fraction by which the radius changes in the first step; it falls in the same way to a fiftieth.
        on_grid: look only at eight-bit pictures, so that what is found is what is saved. The radius is not rounded:
            in linf, one of less than half a level is the image itself.
        begin: at the ``image``; or at a ``donor``, a picture that is at the goal, from which ten bisections lead to
            the boundary. Without such a picture at the image.
    """

    traits: ClassVar[Traits] = Traits(norms=("l2", "linf", "l1", "l0"), keeps="smallest", eps="unused")

    norm: Norm = "l2"
    steps: int = 300
    step_size: float = 1.0
    gamma: Annotated[float, Range(0, 1)] = 0.05
    on_grid: bool = False
    begin: Literal["image", "donor"] = "image"

    def __post_init__(self) -> None:
        """Ask for a donor where the search is to begin at one."""
        if self.begin == "donor":
            object.__setattr__(self, "traits", dataclasses.replace(self.traits, begins="donor"))

    def start(self, rows: Rows) -> None:
        """Begin at the image; nothing is found yet."""
        rows.delta = torch.zeros_like(rows.images)
        rows.best = wide(torch.full_like(rows.eps, torch.inf))
        rows.radius = wide(torch.full_like(rows.eps, float(self.norm == "l0")))

    def steps_for(self, rows: Rows) -> Tensor:
        """Moves of each row, int64 (N,): its steps, and from a donor the way to the boundary."""
        return rows.label * 0 + self.steps + int(self.begin == "donor")

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Learn the next radius from the point that was looked at, climb, and project."""
        ball = BALLS[self.norm]
        reached = rows.goal.reached(logits)
        far = (rows.age == 0) & (reached if self.begin == "donor" else torch.zeros_like(reached))
        here = wide(ball.size(rows.adversarial - rows.images))
        rows.best = torch.where(reached, torch.minimum(rows.best, here), rows.best)
        gradient = self._uphill(rows, logits, model, ~far)
        gap = rows.goal.loss(logits, "margin").abs() + _LEAST_GAP * wide(logits).abs().amax(1)
        radius = self._radius(rows, reached, here, gap, gradient)
        rows.radius = torch.minimum(radius, wide(ball.size(farthest(rows.images))))
        size = cosine(rows, self.steps, self.step_size, self.step_size / 100).to(gradient.dtype)
        moved = rows.images + rows.delta + direction(rows, gradient) * rows.column(size)
        pixels = ball.project(moved, rows.images, rows.radius.to(rows.eps.dtype)).clamp(0, 1)
        pixels, rows.radius = self._at_boundary(rows, pixels, far, model)
        rows.delta = pixels - rows.images
        rows.adversarial = on_grid(pixels) if self.on_grid else pixels

    def _uphill(self, rows: Rows, logits: Tensor, model: Model, wanted: Flags) -> Tensor:
        """Gradients of the margin (N, 3, H, W); zero where they are not wanted."""
        ascent = rows.goal.ascent(logits, "margin")
        if wanted.all():
            return model.vjp(ascent)
        places, gradient = wanted.nonzero()[:, 0], torch.zeros_like(rows.images)
        return gradient.index_copy(0, places, model.vjp(ascent[places], places)) if len(places) else gradient

    def _at_boundary(self, rows: Rows, pixels: Tensor, far: Flags, model: Model) -> tuple[Tensor, Tensor]:
        """Bisect the way from a donor to the image; give where all rows are then, and their radii."""
        places = far.nonzero()[:, 0]
        if not len(places):
            return pixels, rows.radius
        some = rows[places]
        low, high = torch.zeros_like(some.radius), torch.ones_like(some.radius)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            there = asked(some, _between(some, middle, self.norm)[:, None], model, places)[:, 0]
            high, low = torch.where(there, middle, high), torch.where(there, low, middle)
        found = _between(some, high, self.norm)
        radius = wide(BALLS[self.norm].size(found - some.images))
        return pixels.index_copy(0, places, found), rows.radius.index_copy(0, places, radius)

    def _radius(self, rows: Rows, reached: Tensor, here: Tensor, gap: Tensor, gradient: Tensor) -> Tensor:
        """The next radius, float64 (N,)."""
        gamma = cosine(rows, self.steps, self.gamma, self.gamma / 50)
        less, more = rows.radius * (1 - gamma), rows.radius * (1 + gamma)
        if self.norm == "l0":
            less = torch.minimum(rows.radius - 1, less.floor()).clamp(min=0)
            more = torch.maximum(rows.radius + 1, more.floor())
        else:
            slope = wide(BALLS[_DUAL[self.norm]].size(gradient)).clamp(min=1e-12)
            # Where rounding to the grid keeps a point in front of the boundary, the radius has to grow all the same.
            more = torch.where(torch.isinf(rows.best), torch.maximum(here + gap / slope, more), more)
        return torch.where(reached, torch.minimum(less, rows.best), more)


def _between(rows: Rows, share: Tensor, norm: Norm) -> Tensor:
    """Points (N, 3, H, W) on the way from the images (share 0) to where the rows are (share 1), as the norm measures.

    Along the line in l2; in linf every change is cut off at the share, in l1 shrunk by what is left of it to 1, and in
    l0 only changes that are larger than that are made.
    """
    delta, part = rows.adversarial - rows.images, rows.column(share)
    if norm == "l2":
        moved = delta * part
    elif norm == "linf":
        moved = delta.clamp(-part, part)
    elif norm == "l1":
        moved = delta.sign() * (delta.abs() - (1 - part)).clamp(min=0)
    else:
        moved = delta * (delta.abs() > 1 - part)
    return (rows.images + moved).clamp(0, 1)
