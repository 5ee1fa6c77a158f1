"""FAB: the smallest perturbation that changes the label, by steps to the linearized boundary that stay near the image.

Source: Croce and Hein 2020, https://arxiv.org/abs/1907.02044, algorithm 1 and section 2.3 (final search, restarts).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from advcli.attacks import _fab
from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Flags
from advcli.registry import Range

# What margin the final search looks for: a part of the last success's, so that a look that falls short is rare, but not
# so little, as a part of the largest logit, that float32's rounding errors would decide.
_NEXT_MARGIN, _LEAST_MARGIN = 0.02, 2e-5
_LOOKS = 3  # of the final search, on the line from the image to the nearest success

_UNTARGETED = "it goes to the nearest of all boundaries; ddn, fmn and cw take a target"


@dataclass(frozen=True)
class Fab:
    """Search for the smallest perturbation in a norm, without a step size to choose.

    Each step replaces the logits by their tangents, finds the nearest boundary between the label and another class,
    and goes a little behind it: to a mixture of what is nearest to the current point and what is nearest to the image,
    both within [0, 1]. Behind a boundary a row goes back toward the image by a tenth of its way. The nearest success is
    kept; at the end three points of the line from the image to it are looked at, each where a linear margin
    would be just above 0.

    Args:
        norm: in which the perturbation is to be small.
        steps: linearizations of each start, of one gradient per other class each; ``fab-t`` needs one.
        starts: searches that are made in turn: the first begins at the image, the others at a random point that is half
            as far from it as the nearest success so far (without one, as far as the last start came).
        overshoot: how far behind the linearized boundary a step leads, 1 for onto it: eta of the paper.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("linf", "l2", "l1"), targets="never", untargeted=_UNTARGETED, keeps="smallest", eps="unused", cost=(1, 9)
    )

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 100
    starts: int = 1
    overshoot: Annotated[float, Range(1)] = _fab.OVERSHOOT

    def start(self, rows: Rows) -> None:
        """Begin at the image; no success is known."""
        rows.made = torch.zeros_like(rows.label)
        rows.begun = torch.ones_like(rows.label)
        rows.stepped = torch.zeros_like(rows.label, dtype=torch.bool)
        rows.nearest, rows.size = rows.images, torch.full_like(wide(rows.eps), torch.inf)
        rows.looks = torch.zeros_like(rows.label)
        # Of the final search: shares of the way to the nearest success, and the margins there.
        rows.low, rows.high, rows.share = (torch.full_like(rows.size, share) for share in (0.0, 1.0, 0.0))
        rows.low_margin, rows.high_margin, rows.least_margin = (torch.zeros_like(rows.size) for _ in range(3))

    def steps_for(self, rows: Rows) -> Tensor:
        """Moves of each row at most, int64 (N,): every step may be followed by one back, and then the final search."""
        return rows.label * 0 + (2 * self.steps + 1) * self.starts + _LOOKS + 1

    def finished(self, rows: Rows) -> Flags:
        """Rows that have made their steps and looks: bool (N,)."""
        return rows.looks > _LOOKS

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Step, go back, begin again, or look at a point of the final search."""
        margin = rows.goal.margin(logits)
        walking = rows.looks == 0
        rows.least_margin = _LEAST_MARGIN * wide(logits).abs().amax(1)
        self._note(rows, margin, walking)
        over = walking & (rows.made >= self.steps * rows.begun)
        again = over & (rows.begun < self.starts)
        back = walking & ~over & rows.stepped & (margin > 0)
        ahead = walking & ~over & ~back
        moved, stuck = _fab.linearized(rows, logits, model, self.norm, ahead, self.overshoot)
        moved = _where(back, _fab.retreated(rows), moved)
        moved = _where(again, self._elsewhere(rows), moved) if self.starts > 1 else moved
        rows.made = torch.where(stuck, self.steps * rows.begun, rows.made + ahead.long())
        rows.begun = rows.begun + again.long()
        rows.stepped = ahead & ~stuck
        rows.adversarial = moved
        _search(rows, margin, ~walking | (over & ~again), begins=over & ~again)

    def _note(self, rows: Rows, margin: Tensor, walking: Tensor) -> None:
        """Remember the image's margin, and the nearest success with its own."""
        rows.low_margin = torch.where(rows.age == 0, margin, rows.low_margin)
        size = wide(BALLS[self.norm].size(rows.adversarial - rows.images))
        nearer = walking & (margin > 0) & (size < rows.size)
        rows.nearest = _where(nearer, rows.adversarial, rows.nearest)
        rows.size = torch.where(nearer, size, rows.size)
        rows.high_margin = torch.where(nearer, margin, rows.high_margin)

    def _elsewhere(self, rows: Rows) -> Tensor:
        """Random points (N, 3, H, W), half as far from the images as the nearest success."""
        shape = rows.images.shape[1:]
        draw = rows.noise.normal(*shape) if self.norm != "linf" else rows.noise.uniform(*shape) * 2 - 1
        far = wide(BALLS[self.norm].size(rows.adversarial - rows.images))
        radius = torch.where(torch.isfinite(rows.size), rows.size, far) / 2
        length = radius / wide(BALLS[self.norm].size(draw)).clamp(min=1e-12)
        return (rows.images + draw * rows.column(length)).clamp(0, 1)


def _search(rows: Rows, margin: Tensor, searching: Tensor, begins: Tensor) -> None:
    """Look where the margin would just be above 0, if it were linear between the last two looks."""
    looked = searching & ~begins
    higher, lower = looked & (margin > 0), looked & (margin <= 0)
    rows.high, rows.low = torch.where(higher, rows.share, rows.high), torch.where(lower, rows.share, rows.low)
    rows.high_margin = torch.where(higher, margin, rows.high_margin)
    rows.low_margin = torch.where(lower, margin, rows.low_margin)
    wanted = torch.maximum(rows.least_margin, _NEXT_MARGIN * rows.high_margin)
    low, high = rows.low_margin - wanted, rows.high_margin - wanted
    step = (-low / (high - low).clamp(min=1e-300)).clamp(0, 1)
    rows.share = rows.low + (rows.high - rows.low) * step
    # Without a success there is nothing to search, and the row has finished.
    looks = torch.where(torch.isfinite(rows.size), rows.looks + 1, _LOOKS + 1)
    rows.looks = torch.where(searching, looks, rows.looks)
    between = (rows.images + rows.column(rows.share) * (rows.nearest - rows.images)).clamp(0, 1)
    rows.adversarial = _where(searching & (rows.looks <= _LOOKS), between, rows.adversarial)


def _where(mask: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Pixels of ``first`` for the rows (N,) that a mask chooses, and of ``second`` for the others."""
    return torch.where(mask.view(-1, 1, 1, 1), first, second)
