"""The boundary attack: a random walk along the boundary that comes nearer to the image, seeing labels alone.

Source: Brendel et al. 2018, https://arxiv.org/abs/1712.04248, algorithm 1 and sections 2.2 and 2.3.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from advcli.attacks._boundary_walk import STRIDE, asked, begun
from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range

_HALVINGS = 10  # of the way from the start to the image
_ASIDE, _NEARER = 0.5, 0.2  # shares of the candidates that should remain at the goal
_LEAST, _MOST = 1e-7, 0.5  # of both lengths


@dataclass(frozen=True)
class Boundary:
    """Search for the nearest success in l2 with the predicted label alone.

    A row begins at a picture that is at the goal, a donor or uniform noise, and bisects the way to the image. Each step
    draws several points on the sphere around the image, at the present distance, and looks at them; then it looks at
    those still at the goal again, moved toward the image, and goes to the nearest point that is at the goal. The length
    of the first move grows where more than half of the points are still at the goal and shrinks where fewer are; that
    of the second does so at a fifth.

    Args:
        steps: at most; the number of queries is best bounded by ``--queries``.
        candidates: points that are drawn in a step.
        aside: length of the first move along the sphere, as a fraction of the distance.
        nearer: length of the first move toward the image, as a fraction of the distance.
        adaptation: factor by which a length grows, and its inverse by which it shrinks, in a step.
    """

    traits: ClassVar[Traits] = Traits(needs="labels", keeps="smallest", measure="l2", begins="donor", cost=(1, 0))

    steps: int = 2000
    candidates: int = 10
    aside: Annotated[float, Range(_LEAST, _MOST)] = 0.05
    nearer: Annotated[float, Range(_LEAST, _MOST)] = 0.05
    adaptation: Annotated[float, Range(1, 10)] = 1.3

    def start(self, rows: Rows) -> None:
        """Begin at the donor; a row without one looks for a start in its first step."""
        rows.ended = torch.zeros_like(rows.label, dtype=torch.bool)
        rows.sideways = wide(torch.full_like(rows.eps, self.aside))
        rows.inward = wide(torch.full_like(rows.eps, self.nearer))

    def finished(self, rows: Rows) -> Tensor:
        """Rows for which no picture at the goal was found, bool (N,)."""
        return rows.ended

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Bisect the way to the image in the first step; later go along the sphere and toward the image."""
        new, old = (rows.age == 0).nonzero()[:, 0], (rows.age > 0).nonzero()[:, 0]
        pixels = rows.adversarial
        if len(new):
            pixels = self._begun(rows, logits, model, pixels)
        if len(old):
            pixels = pixels.index_copy(0, old, self._walked(rows, old, model))
        rows.adversarial = pixels
        # The numbers of every row move on alike, however many it drew.
        rows.moved_on(STRIDE)

    def _begun(self, rows: Rows, logits: Tensor, model: Model, pixels: Tensor) -> Tensor:
        """Find a start for new rows, and the point nearest to the image on the way there that is at the goal."""
        start, good = begun(rows, logits, model)
        fresh = rows.age == 0
        rows.ended = rows.ended | (fresh & ~good)
        places = (fresh & good).nonzero()[:, 0]
        if not len(places):
            return pixels
        some, best = rows[places], start[places]
        low, high = torch.zeros_like(some.eps), torch.ones_like(some.eps)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            tried = (some.images + (start[places] - some.images) * some.column(middle)).clamp(0, 1)
            inside = asked(some, tried[:, None], model, places)[:, 0]
            best = torch.where(inside.view(-1, 1, 1, 1), tried, best)
            low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
        return pixels.index_copy(0, places, best)

    def _walked(self, rows: Rows, places: Tensor, model: Model) -> Tensor:
        """Points (n, 3, H, W) after one step of the rows at ``places``; their lengths are adapted."""
        some = rows[places]
        around = self._around(some)
        good = asked(some, around, model, places)
        share = wide(good).mean(1)
        sideways, inward = some.sideways * self._factor(share > _ASIDE), some.inward
        toward = some.images[:, None] - around
        nearer = (around + toward * some.inward.to(around.dtype).view(-1, 1, 1, 1, 1)).clamp(0, 1)
        moved = some.adversarial
        # Rows are asked about as many points as they have left: those that are at the goal, moved to the front.
        order = (~good).int().argsort(dim=1, stable=True)
        front = nearer[torch.arange(len(some), device=places.device)[:, None], order]
        for count in sorted(set(good.sum(1).tolist()) - {0}):
            these = (good.sum(1) == count).nonzero()[:, 0]
            inside = asked(some[these], front[these, :count], model, places[these])
            moved = moved.index_copy(0, these, _nearest(some[these], front[these, :count], inside))
            factor = self._factor(wide(inside).mean(1) > _NEARER)
            inward = inward.index_copy(0, these, inward[these] * factor)
        rows.sideways = rows.sideways.index_copy(0, places, sideways.clamp(_LEAST, _MOST))
        rows.inward = rows.inward.index_copy(0, places, inward.clamp(_LEAST, _MOST))
        return moved

    def _factor(self, grows: Tensor) -> Tensor:
        return torch.where(grows, self.adaptation, 1 / self.adaptation).to(torch.float64)

    def _around(self, rows: Rows) -> Tensor:
        """Points (n, Q, 3, H, W) on the sphere around each image, at the distance of its present point."""
        delta = (rows.adversarial - rows.images)[:, None].expand(-1, self.candidates, -1, -1, -1).flatten(0, 1)
        drawn = BALLS["l2"].steepest(rows.noise.normal(self.candidates, *rows.images.shape[1:]).flatten(0, 1))
        radius = BALLS["l2"].size(delta)
        unit = BALLS["l2"].steepest(delta)
        along = wide((wide(drawn) * wide(unit)).flatten(1)).sum(1).to(drawn.dtype)
        tangent = BALLS["l2"].steepest(drawn - unit * along.view(-1, 1, 1, 1))
        length = rows.sideways.to(radius.dtype).repeat_interleave(self.candidates)
        turned = BALLS["l2"].steepest(unit + tangent * length.view(-1, 1, 1, 1)) * radius.view(-1, 1, 1, 1)
        points = turned.view(len(rows), self.candidates, *rows.images.shape[1:]) + rows.images[:, None]
        return points.clamp(0, 1)


def _nearest(rows: Rows, points: Tensor, inside: Tensor) -> Tensor:
    """The point that is nearest to the image, of those inside (n, Q, 3, H, W) and the present one: (n, 3, H, W)."""
    every = torch.cat([points, rows.adversarial[:, None]], 1)
    allowed = torch.cat([inside, torch.ones_like(inside[:, :1])], 1)
    sizes = BALLS["l2"].size((every - rows.images[:, None]).flatten(0, 1)).view(allowed.shape)
    place = sizes.where(allowed, torch.inf).argmin(1)
    return every[torch.arange(len(rows), device=place.device), place]
